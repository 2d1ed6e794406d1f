//go:build race

package pipeline

// raceEnabled tells that everything is some ten times slower.
const raceEnabled = true
