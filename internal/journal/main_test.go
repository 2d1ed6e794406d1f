package journal_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/wanbatch/wanbatch/internal/journal"
)

// helperEnv turns the test binary into a process that holds a lock: see
// [holdLock].
const helperEnv = "JOURNAL_TEST_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(helperEnv); path != "" {
		os.Exit(holdLock(path))
	}
	goleak.VerifyTestMain(m)
}

// holdLock tries the lock, says on stdout how it went, and keeps what it got
// until stdin ends or the process is killed.
func holdLock(path string) int {
	_, err := journal.Acquire(path, journal.Owner{PID: os.Getpid(), Host: "helper", Batch: "rival"}, nil)
	if err != nil {
		fmt.Println("lost:", err)
		return 3
	}
	fmt.Println("won")
	os.Stdin.Read(make([]byte, 1))
	return 0
}
