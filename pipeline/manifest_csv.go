package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// labelColumn begins the name of a column, or of a key in JSON lines, that holds
// a label.
const labelColumn = "label:"

// columns that a file of rows may have, labels aside.
func columns() []string { return []string{"id", "image", "video", "mode"} }

// csvRow reads the header of a CSV file and returns what reads its rows, or nil
// if it is no header, which is told. Columns may stand in any order; image and
// video must be there.
func csvRow(line string, refuse refuseFunc) rowFunc {
	header, problem := splitCSV(line, nil)
	if problem != "" {
		refuse("", "%s", problem)
		return nil
	}
	hint := headerHint(header, line)
	good := true
	bad := func(hint, format string, args ...any) {
		refuse(hint, format, args...)
		good = false
	}
	for i, name := range header {
		label, isLabel := strings.CutPrefix(name, labelColumn)
		switch {
		case slices.Contains(header[:i], name):
			bad("", "column %s is given twice", quote(withoutQuery(name)))
		case isLabel && !goodLabel(label):
			bad(labelHint, "column %s names no label", quote(withoutQuery(name)))
		case name == "":
			bad("remove it", "column %d has no name", i+1)
		case !isLabel && !slices.Contains(columns(), name):
			near := didYouMean(name, columns())
			if near == "" {
				near = hint
			}
			bad(near, "unknown column %s", quote(withoutQuery(name)))
		}
	}
	for _, name := range []string{"image", "video"} {
		if good && !slices.Contains(header, name) {
			bad(hint, "column %s is missing", name)
		}
	}
	if !good {
		return nil
	}
	return csvRows{header}.row
}

// headerHint guesses what is wrong with a line that should be a header.
func headerHint(header []string, line string) string {
	if len(header) == 1 && strings.ContainsAny(line, ";\t") {
		return "separate the columns by commas"
	}
	return "the first line names the columns: id,image,video,mode,label:NAME"
}

// csvRows are rows under a header.
type csvRows struct{ header []string }

func (c csvRows) row(line string, p *Pair, refuse refuseFunc) bool {
	var space [16]string
	fields, problem := splitCSV(line, space[:0])
	if problem != "" {
		refuse("", "%s", problem)
		return false
	}
	if !slices.ContainsFunc(fields, func(value string) bool { return value != "" }) {
		return false // spreadsheets leave such rows at the end
	}
	if len(fields) != len(c.header) {
		refuse("", "has %d columns, but the header %d", len(fields), len(c.header))
		return false
	}
	for i, value := range fields {
		if strings.TrimSpace(value) != value {
			refuse("remove it", "%s: begins or ends with a space", shown(c.header[i]))
			return false
		}
		p.set(c.header[i], value)
	}
	return true
}

// set fills in the value of a column. An empty one is none.
func (p *Pair) set(column, value string) {
	switch column {
	case "id":
		p.ID = value
	case "image":
		p.Image = value
	case "video":
		p.Video = value
	case "mode":
		p.Mode = Mode(value)
	default:
		if value == "" {
			return
		}
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[strings.TrimPrefix(column, labelColumn)] = value
	}
}

// splitCSV appends the fields of a line to a list, as RFC 4180 writes them; but a
// field ends with its line, quoted or not, so that one forgotten quote does not
// swallow a file. The problem is "" if there is none.
func splitCSV(line string, fields []string) (_ []string, problem string) {
	for {
		field, rest, more := strings.Cut(line, ",")
		switch {
		case strings.HasPrefix(line, `"`):
			if field, rest, more, problem = cutQuoted(line[1:]); problem != "" {
				return nil, problem
			}
		case strings.Contains(field, `"`):
			return nil, "a quote stands inside a field; put the whole field in quotes, and write the quote twice"
		}
		if fields = append(fields, field); !more {
			return fields, ""
		}
		if len(fields) == maxColumns {
			return nil, fmt.Sprintf("has more than %d columns", maxColumns)
		}
		line = rest
	}
}

// cutQuoted cuts a line after a quoted field, whose first quote is gone already.
func cutQuoted(line string) (field, rest string, more bool, problem string) {
	end := 0
	for {
		i := strings.IndexByte(line[end:], '"')
		if i < 0 {
			return "", "", false, "a quote is not closed in its line"
		}
		if end += i + 1; end == len(line) || line[end] != '"' {
			break
		}
		end++ // the first of a doubled quote
	}
	field = strings.ReplaceAll(line[:end-1], `""`, `"`)
	rest, more = strings.CutPrefix(line[end:], ",")
	if !more && rest != "" {
		return "", "", false, "text follows a closing quote"
	}
	return field, rest, more, ""
}
