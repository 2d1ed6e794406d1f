package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a manifest. The first two hold before a byte is parsed: a parsed
// node takes about 200 bytes, so a small file of commas could otherwise take a
// gigabyte. They admit about 14,000 pairs.
const (
	maxManifestBytes = 4 << 20
	maxManifestNodes = 128_000 // as nodeBound counts them
	maxDepth         = 16
	maxKeys          = 64
	maxScalar        = 8 << 10 // bytes
)

// readBounded returns all of r. What is longer than a manifest may be, or is no
// text, is a problem; the error is that of r.
func readBounded(r io.Reader, found *problems) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifestBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifestBytes || nodeBound(data) > maxManifestNodes {
		found.add(position{}, "list the pairs in a CSV file and name it in pairs_from",
			"the manifest is too large: at most %d MiB and about 14,000 pairs", maxManifestBytes>>20)
		return nil, nil
	}
	if !utf8.Valid(data) {
		found.add(position{line: brokenLine(data)}, "save the file as UTF-8", "the manifest is not UTF-8 text")
		return nil, nil
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}

// brokenLine is the first line that is not UTF-8.
func brokenLine(data []byte) int32 {
	n := int32(1)
	for line := range bytes.Lines(data) {
		if !utf8.Valid(line) {
			break
		}
		n++
	}
	return n
}

// nodeBound returns an upper bound of the nodes that YAML text can parse into,
// from its bytes alone. Every node but the first few is introduced by one of
// these characters; a comma or a dash may introduce a mapping and its key at
// once ("[a: b, c: d]"), a bracket also the collection itself.
func nodeBound(data []byte) int {
	bound := 4
	for i, c := range data {
		switch c {
		case '\n', ':':
			bound++
		case ',':
			bound += 2
		case '[', '{':
			bound += 3
		case '-', '?':
			if i+1 == len(data) || strings.IndexByte(" \t\r\n", data[i+1]) >= 0 {
				bound += 3
			}
		}
	}
	return bound
}

// parseYAML returns the root node of the only document in data. Parsing into
// nodes expands no alias and compares no keys; both are left to [treeReader].
func parseYAML(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the manifest is empty")
	}
	if err != nil {
		return nil, err
	}
	err = dec.Decode(&next)
	if err == nil {
		return nil, fmt.Errorf("line %d: a manifest is one document; remove what follows the second ---", next.Line)
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return doc.Content[0], nil
}

// syntaxHint says what to do about the parser's commonest complaints, whose words
// help nobody who does not know its insides.
func syntaxHint(message string) string {
	switch {
	case strings.Contains(message, "cannot start any token"):
		return "indent with spaces, not tabs; a text that begins with a tab, @, % or ` needs quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		return "a text with a colon in it needs quotes, and the keys of one mapping are indented alike"
	case strings.Contains(message, "did not find expected"):
		return "look for a bracket or quote that is not closed, or a line that is indented unlike its neighbours"
	case message == "the manifest is empty":
		return "wanbatch init writes one"
	}
	return ""
}

// syntaxPlace splits the line number off an error of the YAML library.
func syntaxPlace(err error) (position, string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	rest, found := strings.CutPrefix(text, "line ")
	number, message, cut := strings.Cut(rest, ": ")
	line, numErr := strconv.ParseInt(number, 10, 32)
	if !found || !cut || numErr != nil {
		return position{}, text
	}
	return position{line: int32(line)}, message
}

// refusedStyle marks a node that was refused and emptied; YAML's own styles end
// at FlowStyle.
const refusedStyle = yaml.FlowStyle << 1

// treeReader turns YAML nodes into the plain values that a JSON schema speaks
// about, refusing what a manifest has no use for: aliases, anchors, tags, merge
// keys, duplicate keys, and sizes beyond the bounds.
type treeReader struct{ found *problems }

// value returns the node as nil, bool, json.Number, string, []any or
// map[string]any. path names the node in messages. A refused node is emptied in
// place, so that nobody meets its contents later.
func (r treeReader) value(n *yaml.Node, path string, depth int) any {
	switch {
	case n.Kind == yaml.AliasNode:
		return r.empty(n, path, "write the value out", "aliases are not supported")
	case n.Anchor != "":
		return r.empty(n, path, "remove the &name", "anchors are not supported")
	case n.Style&yaml.TaggedStyle != 0:
		return r.empty(n, path, "remove the !tag", "tags are not supported")
	case depth > maxDepth:
		return r.empty(n, path, "", "nested more than %d levels deep", maxDepth)
	case len(n.Value) > maxScalar:
		return r.empty(n, path, "", "longer than %d bytes", maxScalar)
	case n.Kind == yaml.MappingNode && len(n.Content)/2 > maxKeys:
		return r.empty(n, path, "", "more than %d keys in one mapping", maxKeys)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = r.value(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		return list
	}
	return r.scalar(n, path)
}

// mapping reads a mapping's entries and drops those whose key is refused from the
// node, so that the others can still be decoded.
func (r treeReader) mapping(n *yaml.Node, path string, depth int) any {
	values := make(map[string]any, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	kept := n.Content[:0]
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !r.key(key, path) {
			continue
		}
		if first, twice := lines[key.Value]; twice {
			r.refuse(key, path, "", "key %s is given twice, first in line %d", quote(key.Value), first)
			continue
		}
		lines[key.Value] = key.Line
		values[key.Value] = r.value(value, join(path, key.Value), depth+1)
		kept = append(kept, key, value)
	}
	n.Content = kept
	return values
}

// key reports whether a mapping's key is plain text.
func (r treeReader) key(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		r.refuse(n, path, "write the keys out", "merge keys are not supported")
	case n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		r.refuse(n, path, "", "a key must be plain text")
	case n.Tag != "!!str":
		r.refuse(n, path, "put it in quotes", "key %s is not text", quote(n.Value))
	default:
		return true
	}
	return false
}

func (r treeReader) scalar(n *yaml.Node, path string) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		// YAML 1.1 knows many spellings; a manifest knows two.
		if n.Value == "true" || n.Value == "false" {
			return n.Value == "true"
		}
	case "!!int", "!!float":
		if plainNumber(n.Value) {
			return json.Number(n.Value)
		}
		return r.empty(n, path, "", "is %s; write a number plainly, such as 12 or 2.5, and text that looks like one in quotes", quote(n.Value))
	}
	return n.Value
}

// plainNumber reports whether a number is written as JSON writes it and without
// exponent, so that what is read is what a person sees: no hexadecimal, no
// separators, no infinity, nothing that unfolds into a million digits.
func plainNumber(text string) bool {
	return len(text) <= 32 && json.Valid([]byte(text)) && !strings.ContainsAny(text, "eE")
}

// empty refuses a node and everything in it. The node stays where it is, as null;
// its value is a mark that the schema checker passes over.
func (r treeReader) empty(n *yaml.Node, path, hint, format string, args ...any) any {
	r.refuse(n, path, hint, format, args...)
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column, Style: refusedStyle}
	return nil
}

func (r treeReader) refuse(n *yaml.Node, path, hint, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if path != "" {
		message = path + ": " + message
	}
	r.found.add(at(n), hint, "%s", message)
}

// at returns a node's place in the file.
func at(n *yaml.Node) position { return position{line: int32(n.Line), column: int32(n.Column)} }

// join appends a key to a path as messages show it: "lane.region".
func join(path, key string) string {
	if path == "" {
		return shown(key)
	}
	return path + "." + shown(key)
}

// quote returns text in double quotes, as messages show it.
func quote(text string) string { return strconv.Quote(shown(text)) }

// shown returns text short enough, and harmless enough, for a line of a message.
func shown(text string) string {
	runes := []rune(strings.ToValidUTF8(text, "\ufffd"))
	if len(runes) > 80 {
		runes = append(runes[:79:79], '…')
	}
	for i, c := range runes {
		if !strconv.IsPrint(c) {
			runes[i] = '\ufffd'
		}
	}
	return string(runes)
}
