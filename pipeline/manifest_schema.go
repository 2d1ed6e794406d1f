package pipeline

import (
	"bytes"
	"cmp"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"gopkg.in/yaml.v3"
)

//go:embed manifest.schema.json
var manifestSchema []byte

// ManifestSchema returns the JSON schema (draft-07) of a manifest, for editors.
func ManifestSchema() []byte { return bytes.Clone(manifestSchema) }

const schemaURL = "urn:wanbatch:manifest:1"

// schemaChecker says in sentences where a manifest's nodes depart from the schema.
type schemaChecker struct {
	document       any // the schema itself, for its titles and property names
	manifest, pair *jsonschema.Schema
	found          *problems
}

// newSchemaChecker compiles the embedded schema. It panics if that is broken,
// which no input can cause.
func newSchemaChecker(found *problems) *schemaChecker {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifestSchema))
	if err != nil {
		panic("pipeline: embedded manifest schema: " + err.Error())
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, document); err != nil {
		panic("pipeline: embedded manifest schema: " + err.Error())
	}
	return &schemaChecker{
		document: document,
		manifest: c.MustCompile(schemaURL),
		pair:     c.MustCompile(schemaURL + "#/definitions/pair"),
		found:    found,
	}
}

// check reads the tree below root and reports all that the schema refuses. The
// pairs are read and checked one by one: the values of a large batch would take
// as much memory again as its nodes.
func (c *schemaChecker) check(root *yaml.Node) {
	pairs := child(root, "pairs")
	if pairs == nil || pairs.Kind != yaml.SequenceNode || len(pairs.Content) == 0 {
		c.validate(c.manifest, root, "")
		return
	}
	items := pairs.Content
	pairs.Content = items[:1] // one stands for all while the rest of the manifest is checked
	c.validate(c.manifest, root, "")
	pairs.Content = items
	for i, item := range items[1:] {
		if c.found.full {
			return // a hostile list is not judged to its end
		}
		c.validate(c.pair, item, fmt.Sprintf("pairs[%d]", i+1))
	}
}

func (c *schemaChecker) validate(schema *jsonschema.Schema, n *yaml.Node, path string) {
	err := schema.Validate(treeReader{c.found}.value(n, path, 1))
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		c.explain(invalid, n, path)
	}
}

// explain turns a tree of validation errors into problems. Only the leaves say
// something, except where the schema offers a choice.
func (c *schemaChecker) explain(e *jsonschema.ValidationError, root *yaml.Node, base string) {
	n, path := walk(root, base, e.InstanceLocation)
	if n.Style == refusedStyle {
		return
	}
	say := func(at *yaml.Node, hint, format string, args ...any) {
		treeReader{c.found}.refuse(at, path, hint, format, args...)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		say(n, "list pairs, pair two folders by a matrix, or name a file in pairs_from", "pairs is missing")
	case *kind.Required:
		say(n, missingHint(k.Missing), "%s", missing(k.Missing))
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			problem, hint := c.badKey(name, e.SchemaURL)
			say(keyNode(n, name), hint, "%s", problem)
		}
	default:
		if len(e.Causes) == 0 {
			say(n, c.hint(e, n), "%smust be %s", got(path, n), c.title(e.SchemaURL))
		}
		for _, cause := range e.Causes {
			c.explain(cause, root, base)
		}
	}
}

// badKey says what is wrong with a key that the schema at url does not allow.
// Where it names no keys, as in labels, the key's own form is wrong.
func (c *schemaChecker) badKey(key, url string) (problem, hint string) {
	known := c.properties(url)
	if len(known) == 0 {
		return quote(key) + " is no label", "use 1 to 64 characters without spaces, quotes, commas, colons, semicolons and equal signs"
	}
	return "unknown key " + quote(key), didYouMean(key, known)
}

// got returns the words "is X, " for a value that may be shown. A key pasted in
// the wrong place, a URL with a signature or a secret in an endpoint may not.
func got(path string, n *yaml.Node) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	switch {
	case n.Kind != yaml.ScalarNode || slices.Contains([]string{"api_key_env", "endpoint", "image", "store", "video"}, name):
		return ""
	case n.Tag == "!!null":
		return "is empty, "
	case n.Tag == "!!str":
		return "is " + quote(n.Value) + ", "
	}
	return "is " + shown(n.Value) + ", "
}

// hint suggests the nearest allowed value, a unit, or quotes.
func (c *schemaChecker) hint(e *jsonschema.ValidationError, n *yaml.Node) string {
	isNumber := n.Tag == "!!int" || n.Tag == "!!float"
	switch k := e.ErrorKind.(type) {
	case *kind.Enum:
		var allowed []string
		for _, want := range k.Want {
			allowed = append(allowed, fmt.Sprint(want))
		}
		if slices.Contains(allowed, "true") {
			return cmp.Or(booleanHint(n), didYouMean(n.Value, allowed))
		}
		return didYouMean(n.Value, allowed)
	case *kind.Type:
		wantsText := slices.Contains(k.Want, "string")
		switch {
		case isNumber && strings.Contains(e.SchemaURL, "duration"):
			return fmt.Sprintf("did you mean %ss?", shown(n.Value))
		case wantsText && (isNumber || n.Tag == "!!bool"):
			return fmt.Sprintf("put it in quotes: %s", quote(n.Value))
		case slices.Contains(k.Want, "boolean") && n.Kind == yaml.ScalarNode:
			return booleanHint(n)
		case isNumberWanted(k.Want) && n.Tag == "!!str" && n.Style != 0 && plainNumber(n.Value):
			return "remove the quotes"
		}
	}
	return ""
}

func isNumberWanted(types []string) bool {
	return slices.Contains(types, "number") || slices.Contains(types, "integer")
}

// booleanHint translates the other spellings of YAML 1.1, and quoted ones.
func booleanHint(n *yaml.Node) string {
	switch strings.ToLower(n.Value) {
	case "yes", "on", "y", "1", "true":
		return "write true"
	case "no", "off", "n", "0", "false":
		return "write false"
	}
	return ""
}

func missing(names []string) string {
	if len(names) == 1 {
		return names[0] + " is missing"
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last] + " are missing"
}

// missingHint says what to write for the one key that is missing.
func missingHint(names []string) string {
	if len(names) != 1 {
		return ""
	}
	return map[string]string{
		"version": "write version: 1",
		"lane":    "write lane: {region: singapore}, or beijing: the region decides host, price and currency",
		"region":  "write singapore or beijing: it decides host, price and currency",
	}[names[0]]
}

// title returns the sentence fragment that the schema at url is named with.
func (c *schemaChecker) title(url string) string {
	if schema, ok := c.lookUp(url).(map[string]any); ok {
		if title, ok := schema["title"].(string); ok {
			return title
		}
	}
	return "something else" // unreachable: a test asks every schema for its title
}

// properties returns the names of the keys that the schema at url knows.
func (c *schemaChecker) properties(url string) []string {
	schema, _ := c.lookUp(url).(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// lookUp follows the JSON pointer in url through the schema document.
func (c *schemaChecker) lookUp(url string) any {
	_, pointer, _ := strings.Cut(url, "#")
	node := c.document
	for _, token := range strings.Split(strings.Trim(pointer, "/"), "/") {
		if token == "" {
			continue
		}
		object, _ := node.(map[string]any)
		node = object[token]
	}
	return node
}

// walk follows an instance path from root and returns the node there, or the
// deepest one on the way, with the path as messages show it.
func walk(root *yaml.Node, base string, tokens []string) (*yaml.Node, string) {
	n, path := root, base
	for _, token := range tokens {
		if n.Kind == yaml.SequenceNode {
			index, err := strconv.Atoi(token)
			if err != nil || index >= len(n.Content) {
				return n, path
			}
			n, path = n.Content[index], fmt.Sprintf("%s[%d]", path, index)
			continue
		}
		next := child(n, token)
		if next == nil {
			return n, path
		}
		n, path = next, join(path, token)
	}
	return n, path
}

// child returns the value of a mapping's key, nil when there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// keyNode returns a mapping's key itself, or the mapping when it is not there.
func keyNode(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i]
		}
	}
	return n
}

// didYouMean suggests the candidate nearest to a word, if one is near.
func didYouMean(word string, candidates []string) string {
	best, bestDistance := "", 3
	for _, candidate := range candidates {
		if d := distance(strings.ToLower(word), candidate); d < bestDistance && d < len(candidate) {
			best, bestDistance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is the number of letters to insert, delete or replace between two
// words; words longer than any key are simply far apart.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
