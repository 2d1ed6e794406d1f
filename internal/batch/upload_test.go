package batch

import (
	"testing"
	"time"
)

// Uploads of local inputs: when they start, how long they are good for, and that
// whatever happens to one, no create is repeated for it.

// localRig opens a run whose jobs share one image and have a video each.
func localRig(t *testing.T, jobs int, change ...func(*Settings, *LaneSettings)) *rig {
	t.Helper()
	r := newRig(t, 0, change...)
	for i := range jobs {
		id := "j" + string(rune('0'+i))
		p := testPlan(id)
		p.ImageSHA256, p.VideoSHA256 = "image", "video-"+id
		r.apply(Event{Kind: Planned, Job: id, Plan: p})
	}
	return r
}

// sent answers the next upload: it lies at the store for two days.
func (r *rig) sent() Effect {
	r.t.Helper()
	e := r.await(OpUpload)
	r.answer(e, Observation{Result: Sent, Address: "oss://" + e.Source, Life: 48 * time.Hour})
	return e
}

func TestUploadsComeBeforeTheCreate(t *testing.T) {
	r := localRig(t, 2)
	r.baseline()
	first, second := r.await(OpUpload), r.await(OpUpload) // both at once
	if first.Source != "image" || second.Source != "video-j0" {
		t.Fatalf("uploads of %s and %s", first.Source, second.Source)
	}
	r.noCreate(time.Minute)
	r.answer(first, Observation{Result: Sent, Address: "oss://image", Life: 48 * time.Hour})
	r.noCreate(time.Minute)
	r.answer(second, Observation{Result: Sent, Address: "oss://video-j0", Life: 48 * time.Hour})
	e := r.await(OpCreate)
	if e.Image != "oss://image" || e.Video != "oss://video-j0" {
		t.Fatalf("the create sends %q and %q", e.Image, e.Video)
	}
	r.answer(e, Observation{Result: Created, Task: "t0"})
	if e := r.sent(); e.Source != "video-j1" { // the image is there
		t.Fatalf("upload of %s", e.Source)
	}
	if e := r.await(OpCreate); e.Image != "oss://image" || e.Job != "j1" {
		t.Fatalf("%+v", e)
	}
}

func TestUploadsRunOneJobAhead(t *testing.T) {
	r := localRig(t, 5)
	r.baseline()
	r.sent()
	for range 3 { // all slots
		r.sent()
		r.submit()
	}
	r.sent() // j3 waits for a slot with its video in place
	r.noCreate(time.Minute)
	if n := r.count(Uploaded); n != 5 {
		t.Fatalf("%d uploads, want the image and four videos", n)
	}
}

func TestAFailedUploadIsRepeatedAlone(t *testing.T) {
	r := localRig(t, 1)
	r.baseline()
	r.sent()
	for range 4 {
		r.answer(r.await(OpUpload), Observation{Result: Failed, Class: ClassRetry})
		if r.count(Intended) != 0 {
			t.Fatal("a create without its input")
		}
	}
	r.sent()
	r.submit()
	if r.count(Intended) != 1 {
		t.Fatalf("%d creates", r.count(Intended))
	}
}

func TestAnUploadMustOutliveItsTask(t *testing.T) {
	r := localRig(t, 2)
	r.baseline()
	r.sent()
	r.sent()
	r.submit()
	r.sent() // video of j1
	e := r.await(OpCreate)
	r.answer(e, Observation{Result: Rejected, Class: ClassThrottle, RetryAfter: 25 * time.Hour})
	r.pass(25 * time.Hour)
	for range 2 { // what is left of 48 h is less than a task may wait
		if e := r.await(OpUpload); e.Job != "j1" {
			t.Fatalf("%+v", e)
		} else {
			r.answer(e, Observation{Result: Sent, Address: "oss://again-" + e.Source, Life: 48 * time.Hour})
		}
	}
	if e := r.await(OpCreate); e.Image != "oss://again-image" || e.Video != "oss://again-video-j1" {
		t.Fatalf("%+v", e)
	}
}

func TestASleepingMachineAgesUploads(t *testing.T) {
	r := localRig(t, 1)
	r.baseline()
	r.sent()
	r.b.Slept(30 * time.Hour)
	for range 2 {
		if e := r.await(OpUpload); e.Source == "image" {
			return
		}
	}
	t.Fatal("an upload that ends within the life of a task was used")
}

// What was uploaded after the sleep is as young as it looks; else it would be
// uploaded for ever.
func TestASleepAgesOnlyUploadsBeforeIt(t *testing.T) {
	r := localRig(t, 1)
	r.b.Slept(100 * 365 * 24 * time.Hour) // a wall clock that was behind the journal
	r.baseline()
	r.sent()
	r.sent()
	if e := r.await(OpCreate); e.Image != "oss://image" {
		t.Fatalf("%+v", e)
	}
}

func TestASleepInTheMiddleOfAnUploadAgesIt(t *testing.T) {
	r := localRig(t, 1)
	r.baseline()
	e := r.await(OpUpload)
	r.b.Slept(30 * time.Hour)
	r.answer(e, Observation{Result: Sent, Address: "oss://image", Life: 48 * time.Hour})
	for range 2 {
		if again := r.await(OpUpload); again.Source == e.Source {
			return
		}
	}
	t.Fatal("an upload that ends within the life of a task was used")
}

func TestUploadsOutliveTheProcess(t *testing.T) {
	r := localRig(t, 1)
	r.baseline()
	r.sent()
	r.crash(time.Minute)
	r.baseline()
	if e := r.sent(); e.Source != "video-j0" {
		t.Fatalf("upload of %s", e.Source)
	}
	if e := r.await(OpCreate); e.Image != "oss://image" {
		t.Fatalf("%+v", e)
	}
}

func TestUploadsBelongToTheAccount(t *testing.T) {
	for name, run := range map[string]*Run{
		"another key":      {ID: "2", Key: "k2"},
		"another endpoint": {ID: "2", Key: "k1", Endpoint: "https://elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			r := localRig(t, 1)
			r.baseline()
			r.sent()
			r.apply(Event{Kind: Opened, Run: run})
			r.flying = nil
			r.baseline()
			if e := r.sent(); e.Source != "image" {
				t.Fatalf("upload of %s", e.Source)
			}
			r.sent()
			r.submit()
		})
	}
}

func TestUploadsBelongToTheStore(t *testing.T) {
	r := localRig(t, 1)
	r.baseline()
	r.sent()
	r.settings.Store = "s3://bucket"
	r.crash(time.Minute)
	r.baseline()
	first, second := r.await(OpUpload), r.await(OpUpload)
	r.answer(first, Observation{Result: Sent, Store: "s3://bucket", Address: "key"}) // for ever
	r.pass(100 * time.Hour)
	r.answer(second, Observation{Result: Sent, Store: "s3://bucket", Address: "key"})
	if e := r.await(OpCreate); e.Image != "key" {
		t.Fatalf("%+v", e)
	}
}

func TestAChangedFileSpoilsItsJobs(t *testing.T) {
	r := localRig(t, 3)
	other := testPlan("url")
	r.apply(Event{Kind: Planned, Job: "url", Plan: other})
	r.baseline()
	video := func() { // of j0
		image, video := r.await(OpUpload), r.await(OpUpload)
		r.answer(video, Observation{Result: Sent, Address: "oss://v"})
		r.answer(image, Observation{Result: Changed, Code: "InputChanged", Message: "alice.png is not what was planned"})
	}
	video()
	if job, _ := r.submit(); job != "url" {
		t.Fatalf("submitted %s", job)
	}
	for _, id := range []string{"j0", "j1", "j2"} {
		r.wantState(id, StateFailed)
		if j, _ := r.b.Job(id); j.Spoil == nil || j.Spoil.Code != "InputChanged" || len(j.Attempts) != 0 {
			t.Fatalf("%+v", j)
		}
	}
	r.wantMoney("0", "0.6", "0")
	if n := len(r.b.RetryFailed(r.now)); n != 0 {
		t.Fatalf("%d jobs that never had an attempt return by --retry-failed", n)
	}
	// The next run found the file as planned, or planned what it holds now.
	p := testPlan("j1")
	p.ImageSHA256, p.VideoSHA256 = "image", "video-j1"
	r.apply(Event{Kind: Planned, Job: "j1", Plan: p})
	r.crash(time.Minute)
	r.wantState("j1", StatePending)
	r.baseline(r.mine()...)
	r.sent()
	r.sent()
	if job, _ := r.submit(); job != "j1" {
		t.Fatalf("submitted %s", job)
	}
}

func TestAFailedTaskDistrustsItsUploads(t *testing.T) {
	r := localRig(t, 1)
	r.baseline()
	r.sent()
	r.sent()
	r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
	r.sent()
	r.sent()
	r.submit()
}

func TestARefusedUploadStopsTheRun(t *testing.T) {
	r := localRig(t, 2)
	r.baseline()
	r.answer(r.await(OpUpload), Observation{Result: Failed, Class: ClassAccount, Code: "Arrearage", Message: "pay"})
	r.noCreate(time.Hour)
	if v := r.b.View(); v.Stop != StopAccount || v.StopCode != "Arrearage" {
		t.Fatalf("%+v", v)
	}
}

// A file that the store never takes, because it is too large, must not keep all the
// other jobs waiting for ever.
func TestAFileThatIsNeverTakenSpoilsItsJobs(t *testing.T) {
	for code, want := range map[string]string{"EntityTooLarge": "EntityTooLarge", "": codeUploadRefused} {
		r := localRig(t, 2)
		r.baseline()
		r.sent()
		for range refusalWithoutCodeTries {
			if e := r.await(OpUpload); e.Source != "video-j0" {
				t.Fatalf("%+v", e)
			} else {
				r.answer(e, Observation{Result: Failed, Class: ClassInput, Code: code, Message: "too large"})
			}
		}
		r.wantState("j0", StateFailed)
		if j, _ := r.b.Job("j0"); j.Spoil == nil || j.Spoil.Code != want || j.Spoil.Message != "too large" {
			t.Fatalf("%+v", j)
		}
		r.sent()
		if job, _ := r.submit(); job != "j1" {
			t.Fatalf("submitted %s", job)
		}
	}
}

func TestNothingIsUploadedForNothing(t *testing.T) {
	r := localRig(t, 1, capped("0.5"))
	r.noCreate(time.Hour)
	if v := r.b.View(); v.Stop != StopBudget {
		t.Fatalf("%+v", v)
	}
}

func TestReuse(t *testing.T) {
	r := newRig(t, 2)
	r.apply(Event{Kind: Reused, Job: "j0", Origin: "spring", Artifact: &Artifact{Path: "videos/j0.mp4", Bytes: 1}})
	r.wantState("j0", StateDone)
	r.baseline()
	if job, _ := r.submit(); job != "j1" {
		t.Fatalf("submitted %s", job)
	}
	r.wantMoney("0", "0.6", "0")
	r.crash(time.Minute)
	if j, _ := r.b.Job("j0"); j.State != StateDone || j.Origin != "spring" || j.Artifact == nil {
		t.Fatalf("%+v", j)
	}
	changed := testPlan("other")
	r.apply(Event{Kind: Planned, Job: "j0", Plan: changed})
	if j, _ := r.b.Job("j0"); j.State != StatePending || j.Origin != "" || j.Artifact != nil {
		t.Fatalf("%+v", j)
	}
}
