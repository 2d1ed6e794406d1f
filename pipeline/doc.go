// Package pipeline turns a manifest of image/video pairs into finished
// motion-transfer videos and a bill, through Alibaba Cloud Model Studio's
// wan2.2-animate models, inside the account's limits and without paying twice.
//
// # The road
//
//	manifest.yaml
//	    | ReadManifest     strict: every problem at once, with its line
//	    v
//	Manifest --NewPlan--> Plan = jobs + estimate     spends nothing
//	                        | Run                    the only function that spends
//	                        v
//	      +---------------------------------------------------------+
//	      |  core: Next(now) -> one record + one effect             |
//	      |   ^ Apply(event)       ^ Observe(answer)    |           |
//	      |   | durable first      | never stored       v           |
//	      |  journal       workers: upload create look fetch        |
//	      +---------------------------------------------------------+
//	                        | fold
//	                        v
//	                     Report --> report.json, report.csv, report.html
//
// Every decision about money is made by a pure core (internal/batch). [Run]
// only moves its records into the journal, its effects to the workers and their
// answers back. [Status], the report after a crash and the report at the end are
// the same fold of the same journal. There is no second path for recovery:
// running again replays the journal and goes on.
//
// # Life of a job
//
// Each line is a durable record; between two of them the process may die.
//
//	planned      it is in the batch. A crash here: nothing happened
//	intended     its money is held and the create may leave now. A crash
//	             here: in doubt, to be settled by the provider's lists
//	accepted     the task id is known. A crash here: the task is looked at again
//	running      it was seen running
//	ended        the provider's last word; the hold became the bill, or is
//	             free. A crash here: the result is fetched again
//	stored       the file is verified and durable. Done
//
// A create whose outcome is lost is settled by evidence and never by a guess:
// after a while two complete lists are asked, and only what they prove happens.
// On a lane that others use too, an unknown task may be a stranger's; then the
// job is quarantined, with the candidates, until a person calls [Resolve].
//
// # Where money is spent
//
// The core decides it (submit in internal/batch/next.go); driver.take makes the
// intent durable; workers.create sends the one request; the core's judgeCreate turns
// the answer into accepted, refused or unanswered, and driver.take makes that durable
// before anything else is created on the lane.
//
// # What is guaranteed, and what not
//
// At most one live task per job, over every schedule of crashes, lost answers,
// timeouts and concurrent runs; no byte of a create leaves before its intent is
// durable; billed + held + the next job never exceeds the cap; a file that has
// its final name is complete; the report equals the journal.
//
// This rests on the disk keeping what it acknowledged, on the provider's list
// showing a task within the settle time (a setting), and, where the manifest
// says that a lane is exclusive, on that being true.
//
// # Money
//
// Prices are those of a built-in table, or of a file that [ReadPricesFile] reads and
// [PlanOptions] takes; date, source and hash of the table stand in plan, journal and
// report. A job is held and billed at the prices of the run that submits it: a
// later run at other prices changes nothing about what was submitted.
//
// The cap is for a batch's whole life: what was billed, what is held for tasks in
// flight, in doubt or quarantined, and what may have been billed, all count.
// [Report.Budget] tells what is left and what the rest would need.
//
// [Plan.Under] binds a plan to what else decides about money in a run; its document
// ([Plan.Save], [ReadPlan], [SavedPlan.Diff]) then differs if one byte of an input, a
// price or a setting of the run does. Work that another batch has done is reused
// by [Config].Reuse: copied and verified, recorded, and never paid for.
//
// # Embedding
//
// The context stops a run at once and safely; closing Config.Stop lets downloads
// finish first. The package installs no signal handler, reads no environment and
// prints nothing: it calls Config.OnEvent and returns errors.
package pipeline
