package pipeline

import "testing"

// Only what is proved to be a rehearsal is repeated by rehearsing.
func TestRehearsalIsProved(t *testing.T) {
	const name = "demo-rehearsal"
	rehearsed := ReportLane{Endpoint: "http://127.0.0.1:4000", KeyFingerprint: "568059cc"}
	tests := []struct {
		name   string
		report Report
		want   bool
	}{
		{"rehearsed", Report{Batch: name, Lane: rehearsed}, true},
		{"never run", Report{Batch: name}, true},
		{"another name", Report{Batch: "demo", Lane: rehearsed}, false},
		{"a real key", Report{Batch: name, Lane: ReportLane{Endpoint: rehearsed.Endpoint, KeyFingerprint: "0badc0de"}}, false},
		{"a real endpoint", Report{Batch: name, Lane: ReportLane{Endpoint: "https://dashscope.aliyuncs.com", KeyFingerprint: rehearsed.KeyFingerprint}}, false},
	}
	for _, tt := range tests {
		if got := tt.report.Rehearsed(); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
		want := map[bool]string{true: `wanbatch rehearse "a b.yaml" --output x`, false: `wanbatch run "a b.yaml" --output x`}[tt.want]
		if got := tt.report.Again("a b.yaml", "--output", "x"); got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
}
