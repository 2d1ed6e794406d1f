package batch

import "time"

// Class is the judgement on a failure, whichever layer it came from. It is
// stored with the event that acted on it.
type Class string

// The classes.
const (
	ClassInput    Class = "input"    // this pair can never succeed unchanged
	ClassConfig   Class = "config"   // the request or the setup is wrong: every job would meet it
	ClassThrottle Class = "throttle" // slower
	ClassBurst    Class = "burst"    // a sudden rise: pause
	ClassQuota    Class = "quota"    // a quota: throttled at first, the account's limit if it stays
	ClassRetry    Class = "retry"    // passing trouble
	ClassAccount  Class = "account"  // the account may not create: arrears, permission, purchase
	ClassKey      Class = "key"      // the key itself is dead: nothing works
)

// rule is what one class does in each place where it can turn up.
type rule struct {
	countsTry bool // a refused create uses up one of the job's tries; the last one is judged as input
	retryTask bool // a task that ended FAILED may be paid for again (failed tasks are free)
	pause     bool // creates on this lane back off
	stop      Stop // a refused create ends creating in this run
	stopLook  Stop // a refused query or list ends the run: live tasks cannot be followed
}

// rules is the one place where classes get their consequences. One of them is
// fixed by the journal: a create refused as ClassInput fails its job, and all
// other refusals return it to the queue.
var rules = map[Class]rule{
	ClassInput:    {},
	ClassConfig:   {stop: StopSetup, stopLook: StopSetup},
	ClassThrottle: {pause: true, retryTask: true},
	ClassBurst:    {pause: true, retryTask: true},
	ClassQuota:    {pause: true, retryTask: true},
	ClassRetry:    {pause: true, countsTry: true, retryTask: true},
	ClassAccount:  {stop: StopAccount, stopLook: StopAccount},
	ClassKey:      {stop: StopKey, stopLook: StopKey},
}

// Stop is why a run creates nothing more.
type Stop string

// The stop reasons. StopBudget and StopDeadline are derived at every instant, from
// the money and the clock; the others are met during a run and forgotten with it.
const (
	StopNone        Stop = ""
	StopBudget      Stop = "budget"      // the next job does not fit under the cap
	StopAccount     Stop = "account"     // arrears, permission, quota, purchase
	StopKey         Stop = "key"         // the API key is refused
	StopSetup       Stop = "setup"       // a setting that the provider refuses
	StopDisk        Stop = "disk"        // results cannot be written
	StopDeadline    Stop = "deadline"    // the next job would not be finished in time
	StopInterrupted Stop = "interrupted" // the operator asked
)

// Fixed quantities of the policy. None of them can cause a second payment; each
// says what it trades.
const (
	backoffFirst            = time.Second          // first pause after trouble
	backoffMax              = time.Minute          // longest: the provider says throttling passes within a minute
	quotaTries              = 10                   // quota refusals in a row before it is the account's limit
	diskTries               = 10                   // full-disk answers in a row before the run gives up
	diskMemory              = 10 * time.Minute     // after which the next one is the first again
	ceilingStep             = 10 * time.Minute     // a ceiling learned from a refusal rises by one
	clockDrift              = time.Minute          // what our clock may gain on the provider's before that is asked for again
	listEvery               = 10 * time.Minute     // strangers are counted at least this often while creating
	tailFactor              = 6                    // the last few jobs are this many for each task that runs at once
	longestSleep            = 365 * 24 * time.Hour // of a machine that wakes up again
	mostNamed               = 10_000               // ids in one event: it must fit in a line of the journal
	listWindow              = 24 * time.Hour       // the provider lists the tasks of the last 24 hours
	unknownTries            = 3                    // UNKNOWN answers in a row, past the life of an id, before the job is lost
	fetchTime               = time.Minute          // what a download may take after the last task, before a deadline
	configRefusalTries      = 4                    // refusals as of a wrong set-up in a row, after it was right, before it is believed
	oldTries                = 5                    // lists in a row that tell nothing of a doubt that is too old for them anyway
	blindTries              = 60                   // lists in a row that miss something, about a minute apart, before a run gives up on them
	taskRefusalTries        = 10                   // refusals of looks in a row, each of which may be about its task alone, before they are believed
	refusalWithoutCodeTries = 5                    // looks refused without a code (by a proxy, say) in a row before they are believed
)

// DoubtRipe is how old a create in doubt must be before a person settles it: then the
// first lists of any run show its task.
const DoubtRipe = time.Hour

// MaxLooks is how many queries and cancels are outstanding at most, over all
// lanes; besides them each lane has at most one create and one list.
const MaxLooks = 4

// MaxUploads is how many inputs are uploaded at once: the next job's two.
const MaxUploads = 2

// backoff doubles from backoffFirst to backoffMax; n counts from 1. A wish of
// the provider wins if it is longer.
func backoff(n int, wish time.Duration) time.Duration {
	d := backoffMax
	if n < 7 {
		d = min(backoffFirst<<(n-1), backoffMax)
	}
	return max(d, wish)
}
