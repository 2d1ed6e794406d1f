package pipeline

// RaceEnabled is raceEnabled, for the tests outside the package.
const RaceEnabled = raceEnabled

// ReportRevision is reportRevision, for the tests outside the package.
const ReportRevision = reportRevision

// Words of command lines, for the tests outside the package.
var (
	ShellWord = shellWord
	FirstWord = firstWord
)
