package emulator_test

import (
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

func TestParseFault(t *testing.T) {
	tests := []struct {
		text string
		want emulator.Fault
	}{
		{"lost-reply", emulator.Fault{Name: "lost-reply"}},
		{"lost-reply:3", emulator.Fault{Name: "lost-reply", N: 3}},
		{"no-crc:5%", emulator.Fault{Name: "no-crc", P: 0.05}},
		{"no-crc:0.5%", emulator.Fault{Name: "no-crc", P: 0.005}},
		{"no-crc:100%", emulator.Fault{Name: "no-crc", P: 1}},
	}
	for _, tt := range tests {
		got, err := emulator.ParseFault(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("ParseFault(%q) = %+v, %v", tt.text, got, err)
		}
		if got.String() != tt.text {
			t.Errorf("%q prints as %q", tt.text, got)
		}
	}
	for _, text := range []string{"", "lost", "lost-reply:", "lost-reply:0", "lost-reply:-1", "lost-reply:x",
		"lost-reply:%", "lost-reply:0%", "lost-reply:101%", "lost-reply:NaN%", "lost-reply:1:2"} {
		if f, err := emulator.ParseFault(text); err == nil {
			t.Errorf("ParseFault(%q) = %+v, want an error", text, f)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, text := range []string{"lost-reply", "no-crc:3", "no-crc:1e-7%", "no-crc:5%", ":", "x:%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := emulator.ParseFault(text)
		if err != nil {
			return
		}
		if parsed.N < 0 || parsed.P < 0 || parsed.P > 1 || parsed.N > 0 && parsed.P > 0 {
			t.Errorf("ParseFault(%q) = %+v", text, parsed)
		}
		if again, err := emulator.ParseFault(parsed.String()); err != nil || again.Name != parsed.Name || again.N != parsed.N {
			t.Errorf("%q printed as %q reads as %+v, %v", text, parsed, again, err)
		}
	})
}
