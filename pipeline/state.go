package pipeline

import "github.com/wanbatch/wanbatch/internal/batch"

// State is where a job stands. The words are those of the report and of the events;
// none changes its meaning.
type State string

// The states of a job, in the order of its life.
const (
	StatePending     State = State(batch.StatePending)     // nothing is sent for it, or nothing any more: it waits for its turn
	StateSubmitting  State = State(batch.StateSubmitting)  // its create is on the way
	StateInDoubt     State = State(batch.StateInDoubt)     // the outcome of its create is unknown
	StateQueued      State = State(batch.StateQueued)      // its task waits at the provider, as far as is known
	StateRunning     State = State(batch.StateRunning)     // its task was seen running
	StateFetching    State = State(batch.StateFetching)    // its task has succeeded, its video is not stored yet
	StateDone        State = State(batch.StateDone)        // its video is stored and verified
	StateFailed      State = State(batch.StateFailed)      // it has no video, and why is known; also canceled and abandoned
	StateQuarantined State = State(batch.StateQuarantined) // nobody can tell whether it has a task: a person must decide
	StateLost        State = State(batch.StateLost)        // the provider no longer has its task or its result
)

// States lists all of them in that order.
func States() []State {
	return []State{StatePending, StateSubmitting, StateInDoubt, StateQueued, StateRunning, StateFetching,
		StateDone, StateFailed, StateQuarantined, StateLost}
}

// AtRest reports whether the job waits for nothing that a run could do by itself.
func (s State) AtRest() bool { return batch.State(s).AtRest() }
