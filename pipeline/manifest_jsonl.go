package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// jsonRow reads a pair from a line of JSON: an object with the keys of a pair
// under pairs, or with those of a CSV file. All values are text; null is none.
func jsonRow(line string, p *Pair, refuse refuseFunc) bool {
	r := &jsonPair{dec: json.NewDecoder(strings.NewReader(line)), pair: p, given: make(map[string]bool, 8)}
	r.dec.UseNumber()
	problem, hint := r.object(r.member)
	if problem == "" {
		if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
			problem = "more text follows the object"
		}
	}
	if problem != "" {
		refuse(hint, "%s", problem)
	}
	return problem == ""
}

// jsonPair is a pair while its line is read.
type jsonPair struct {
	dec   *json.Decoder
	pair  *Pair
	given map[string]bool // names of columns that had a value already
}

// object reads a whole object, member by member. Its methods return a problem with
// a hint, "" if there is none.
func (r *jsonPair) object(member func(key string) (problem, hint string)) (problem, hint string) {
	token, err := r.dec.Token()
	if err != nil {
		return notJSON(err), ""
	}
	if token != json.Delim('{') {
		return notObject, `write a line such as {"image": "a.png", "video": "b.mp4"}`
	}
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return notJSON(err), ""
		}
		name, _ := key.(string) // the keys of an object are text
		if problem, hint = member(name); problem != "" {
			return problem, hint
		}
	}
	if _, err = r.dec.Token(); err != nil {
		return notJSON(err), ""
	}
	return "", ""
}

// member reads one member of the row.
func (r *jsonPair) member(key string) (problem, hint string) {
	switch label, isLabel := strings.CutPrefix(key, labelColumn); {
	case key == "labels":
		if problem, hint = r.object(r.label); problem == notObject {
			return "labels: must be an object of labels", ""
		}
		return problem, hint
	case isLabel:
		return r.label(label)
	case key != "id" && key != "image" && key != "video" && key != "mode":
		return "unknown key " + quote(withoutQuery(key)), didYouMean(key, append(columns(), "labels"))
	}
	return r.text(key)
}

func (r *jsonPair) label(name string) (problem, hint string) {
	if !goodLabel(name) {
		return quote(withoutQuery(name)) + " is no label", labelHint
	}
	return r.text(labelColumn + name)
}

// text reads the value of a column.
func (r *jsonPair) text(column string) (problem, hint string) {
	if r.given[column] {
		return fmt.Sprintf("%s is given twice", column), ""
	}
	r.given[column] = true
	token, err := r.dec.Token()
	if err != nil {
		return notJSON(err), ""
	}
	switch value := token.(type) {
	case nil:
	case string:
		r.pair.set(column, value)
	case json.Number:
		return fmt.Sprintf("%s: must be text", column), "put it in quotes: " + quote(value.String())
	default:
		return fmt.Sprintf("%s: must be text", column), ""
	}
	return "", ""
}

const notObject = "is no JSON object"

func notJSON(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "is not JSON: the line ends too early"
	}
	return "is not JSON: " + shown(err.Error())
}
