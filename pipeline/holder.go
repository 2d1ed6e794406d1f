package pipeline

import (
	"path/filepath"
	"time"

	"github.com/wanbatch/wanbatch/internal/journal"
)

// Holder is a process that works on a batch folder.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// HolderOf returns who works on a batch folder at this instant, nil if nobody
// does. It takes no lock and keeps nobody out. A name that a killed process left
// behind is nobody.
func HolderOf(folder string) (*Holder, error) {
	owner, err := journal.Holder(filepath.Join(folder, lockName))
	if err != nil || owner == nil {
		return nil, err
	}
	return &Holder{PID: owner.PID, Host: owner.Host, Since: owner.Since.UTC()}, nil
}
