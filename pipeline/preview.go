package pipeline

import (
	"errors"
	"io/fs"
	"os"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
)

// Preview is what [Run] would do now with a plan and a configuration.
type Preview struct {
	Submit      []string // ids of the jobs that a task would be created for, in the plan's order
	Money       Range    // estimated for these, in the plan's currency
	Reuse       int      // jobs whose video would be copied from another batch
	Saved       Range    // what these would cost otherwise
	Follow      int      // jobs whose task exists or may exist: its cost is held or billed already
	NotSelected int      // jobs that Config.Limit or Config.Only leave out
	Done        int      // jobs that are done
	Rest        int      // jobs that failed, were lost or are quarantined, and stay so
	Changed     []string // ids of the jobs that Run refuses, in the plan's order
	Refusal     error    // why Run would refuse to start, because of Changed; nil if it would not
	Report      *Report  // of the batch before that run; nil if it has none
}

// Preview tells what [Run] would do, by the functions that Run decides with. It
// reads the journal without its lock, writes nothing and makes no call; a batch that
// moves meanwhile is judged again by Run. What Run would refuse for another reason
// than changed jobs is an error of this too.
func (p *Plan) Preview(cfg Config) (*Preview, error) {
	cfg = cfg.withDefaults()
	p, err := p.boundTo(cfg)
	if err != nil {
		return nil, err
	}
	core := batch.New(batchSettings(p, cfg), []batch.LaneSettings{laneSettings(p)})
	folder := FolderOf(cfg.Output, &p.Manifest)
	pv := &Preview{}
	told, err := reportedHead(folder) // before a journal that may grow meanwhile
	if err != nil {
		return nil, err
	}
	head, err := readFolder(folder, core)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case core.Begin() != nil:
		if pv.Report, err = newReport(core, head, folder); err != nil {
			return nil, err
		}
	}
	if err := checkJournal(core, head, told, folder); err != nil {
		return nil, err
	}
	events, changed, err := planEvents(core, p, cfg, folder)
	if err != nil {
		return nil, err
	}
	if root, err := os.OpenRoot(folder); err == nil { // there is no folder yet, or Run tells
		err = p.refuseForeign(disk.Dir(root), core, events, cfg, folder)
		_ = root.Close() // read only: nothing can be lost
		if err != nil {
			return nil, err
		}
	}
	for _, e := range events {
		if err := core.Apply(e); err != nil {
			return nil, err // unreachable: they were made for this core
		}
	}
	if err := selectJobs(core, p, cfg); err != nil {
		return nil, err
	}
	pv.Refusal = refuseChanged(changed)
	return pv, pv.count(core, p, cfg, changed)
}

// count sorts the jobs by what the run would do with them.
func (pv *Preview) count(core *batch.Batch, p *Plan, cfg Config, changed []batch.Job) error {
	refused := make(map[string]bool, len(changed))
	for _, job := range changed {
		refused[job.ID] = true
	}
	again := map[string]bool{}
	for _, e := range core.Returning(core.Last()) {
		again[e.Job] = true
	}
	planned := make(map[string]bool, p.Len())
	for row, err := range p.Jobs() {
		if err != nil {
			return err
		}
		planned[row.ID] = true
		job, _ := core.Job(row.ID) // differences planned it
		retried := cfg.RetryFailed && (job.State == batch.StateFailed || job.State == batch.StateLost)
		switch submits := job.State == batch.StatePending || again[row.ID] || retried; {
		case refused[row.ID]:
			pv.Changed = append(pv.Changed, row.ID)
		case submits && job.Skipped:
			pv.NotSelected++
		case submits && row.ReusedFrom != "":
			pv.Reuse++
			pv.Saved = pv.Saved.plus(row.Estimated)
		case submits:
			pv.Submit = append(pv.Submit, row.ID)
			pv.Money = pv.Money.plus(row.Estimated)
		case job.State == batch.StateDone:
			pv.Done++
		case job.State.AtRest():
			pv.Rest++
		default:
			pv.Follow++
		}
	}
	for job := range core.Jobs() {
		if !planned[job.ID] && job.State != batch.StatePending && !job.State.AtRest() {
			pv.Follow++
		}
	}
	return nil
}
