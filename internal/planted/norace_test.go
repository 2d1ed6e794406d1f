//go:build !race

package planted

const raceEnabled = false
