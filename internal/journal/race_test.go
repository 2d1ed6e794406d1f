//go:build race

package journal

// raceEnabled tells that everything is some ten times slower.
const raceEnabled = true
