package emulator

// Movie makes the driving videos of the tests.
var Movie = movie
