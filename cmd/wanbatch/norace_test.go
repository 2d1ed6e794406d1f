//go:build !race

package main

// raceEnabled tells whether everything is some ten times slower.
const raceEnabled = false
