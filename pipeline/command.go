package pipeline

import (
	"runtime"
	"strings"
	"unicode"
)

// CommandLine writes a command of the program wanbatch that can be pasted into a
// shell: a verb, its arguments and its flags, each flag's value an element of its
// own. Every element stands for itself, whatever it contains; an argument that
// begins with a dash is kept from being read as a flag.
//
// The quotes are those that POSIX shells, cmd and PowerShell share where a word has
// nothing that one of them would act on, else those of POSIX shells. Characters that
// cannot be seen become "?": a name that has some cannot be written here.
func CommandLine(verb string, args []string, flags ...string) string {
	words := []string{"wanbatch", verb}
	dashed := false
	for _, arg := range args {
		dashed = dashed || len(arg) > 1 && arg[0] == '-' // a dash alone is standard input
	}
	if dashed {
		args = append(append(flags[:len(flags):len(flags)], "--"), args...)
	} else {
		args = append(args[:len(args):len(args)], flags...)
	}
	for _, arg := range args {
		words = append(words, shellWord(arg, runtime.GOOS == "windows"))
	}
	return strings.Join(words, " ")
}

// What some shell acts on within double quotes; the curly ones are quotes to PowerShell.
const activeQuoted = "\"$`!%\u201c\u201d\u201e"

// shellWord writes s as one word of a command line. Where windows is true the command
// is for a shell to which single quotes may be nothing: what double quotes do not hold
// there becomes "?", which is in no name.
func shellWord(s string, windows bool) string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	switch {
	case s != "" && strings.IndexFunc(s, active) < 0:
		return s
	case windows:
		s = strings.Map(func(r rune) rune {
			if strings.ContainsRune(activeQuoted, r) {
				return '?'
			}
			return r
		}, s)
		last := s[len(strings.TrimRight(s, `\`)):] // would take the quote for a character
		return `"` + s + last + `"`
	case !strings.ContainsAny(s, activeQuoted) && !strings.Contains(s, `\\`) && !strings.HasSuffix(s, `\`):
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// active reports whether some shell may act on a character that stands bare.
func active(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune("_+:./-", r)
}

// firstWord reads the word with which a command line begins that [CommandLine] wrote.
func firstWord(line string) string {
	var word strings.Builder
	for {
		i := strings.IndexAny(line, ` "'\`)
		if i < 0 {
			return word.String() + line
		}
		word.WriteString(line[:i])
		sign := line[i : i+1]
		line = line[i+1:]
		switch sign {
		case " ":
			return word.String()
		case `\`:
			n := min(len(line), 1)
			word.WriteString(line[:n])
			line = line[n:]
		default:
			quoted, rest, _ := strings.Cut(line, sign)
			word.WriteString(quoted)
			line = rest
		}
	}
}
