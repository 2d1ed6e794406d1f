// Package batch is the pure core of wanbatch: every decision about money is
// made here, and nothing here touches the world.
//
// One [Batch] holds a whole batch: its jobs, its money and its lanes. A lane is
// one independent quota at the provider (account x region x model) and the only
// thing that spends; it owns the create barrier, the slots, the pace and what is
// known of strangers. The queue and the budget stand above the lanes, so that
// several lanes still keep one cap.
//
// # Three verbs
//
//   - [Batch.Apply] folds one durable [Event]. It decides nothing. Replaying a
//     journal is calling Apply on each of its events and nothing else.
//   - [Batch.Observe] takes in a worker's raw [Observation]. It only queues it.
//   - [Batch.Next] returns at most one [Step]: a record to make durable and an
//     effect to start afterwards. Or it returns the time to ask again.
//
// Every driver is the same loop, whether it runs over HTTP, in a simulator or in
// an exhaustive search:
//
//	for {
//		step, wake, ok := core.Next(now)
//		if step.Record != nil { journal.Append(step.Record); core.Apply(step.Record) }
//		if step.Effect != nil { start(step.Effect) } // exactly one Observation will come
//		if !ok { wait for an observation, for wake, or end when neither can come }
//	}
//
// Next looks at one observation at a time, on the state of that instant, and
// records at most one event for it. So answers that come late, twice or against
// each other die in one place, and each decision sees the one before it.
//
// # What is durable and what is not
//
// Events are decisions and outcomes about money. They are durable before the
// step that follows from them. Everything else (which effects are outstanding,
// when to look next, back-off, half-collected evidence, stop reasons) is lost
// with the process on purpose and derived again. The one effect that outlives
// the process is a create: the event `opened` turns an intent without outcome
// into doubt.
//
// # Life of a job
//
//	state        entered by                 moved on by                     a crash here
//	pending      planned refused absent     intended reused spoiled         nothing happened
//	             again
//	submitting   intended                   accepted refused unanswered     in doubt when opened
//	in_doubt     unanswered opened          absent adopted quarantined      settling starts anew
//	                                        (a person, too)
//	queued       accepted adopted           running ended lost withdrawn    looked at again
//	                                        quarantined (a person takes
//	                                        an adoption back)
//	running      running                    ended lost                      looked at again
//	fetching     ended (SUCCEEDED)          stored lost                     fetched again, part file resumes
//	done         stored reused              -                               -
//	failed       refused ended abandoned    again planned                   a retry is decided again
//	             spoiled
//	lost         lost                       again (a person)                nothing
//	quarantined  quarantined                adopted again abandoned         nothing
//	                                        (a person)
//
// A run after [Batch.CancelQueued] only cancels: it moves queued jobs on, in this
// same table (withdrawn by a person, then ended), and leaves all others alone.
//
// What a job costs begins with intended. Before it, local inputs are uploaded
// (upload.go), which costs nothing and may be repeated; reused and spoiled end a
// job that has nothing under way at the provider.
//
// # Paying once
//
// The provider has no idempotency key, so the protocol is: make the intent
// durable, send one create, and create nothing else on that lane until its
// outcome is known. A lost outcome is settled by evidence (settle.go, silence.go): two
// complete lists in a row, asked after doubt + settle time. What any list shows is
// evidence; its silence is only if it misses nothing that must be there: no task of
// ours that runs, or that lists missed while it ran, not the one made before the doubt,
// and not the youngest, anyone's, that the provider told of before. Nothing here ever
// compares clocks of two processes to permit a create.
//
// # Restrictions
//
// No I/O, no clock, no goroutine, no random source, no floating point and no map
// order in a decision: the same calls give the same answers, so a failing
// schedule can be replayed from its seed. A Batch is not safe for concurrent
// use; its driver owns it.
package batch
