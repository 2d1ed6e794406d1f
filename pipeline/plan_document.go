package pipeline

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// A plan document is version 1 of what [Plan.Save] writes: JSON with the settings
// of a batch, its price table and its jobs, and under "sha256" the hash of all
// the rest. It holds no secret: URLs stand without their query. Keys may be
// added within version 1; then an older document differs from every new plan,
// and must be made and reviewed again.
//
// Keys stand in the order of their names. The jobs, under "jobs", are not part of
// this type: they are written one by one.
type planDocument struct {
	Version  int                 `json:"version"`
	Batch    string              `json:"batch"`
	Currency string              `json:"currency"`
	MaxCost  decimal.NullDecimal `json:"max_cost"`
	Output   string              `json:"output_file"`
	Store    string              `json:"output_store,omitempty"`
	Inputs   string              `json:"inputs_store,omitempty"`
	Lane     laneDocument        `json:"lane"`
	Terms    runTerms            `json:"run"`
	Settings EstimateSettings    `json:"settings"`
	Prices   PriceTable          `json:"price_table"`
	Total    Range               `json:"estimated"`
}

// runTerms are what a run is told besides its manifest and that decides about money.
type runTerms struct {
	Output        string              `json:"output"` // the folder whose journal says what is done already
	Limit         int                 `json:"limit"`
	Only          []string            `json:"only"`
	RetryFailed   bool                `json:"retry_failed"`
	AcceptChanges bool                `json:"accept_changes"`
	Reuse         []string            `json:"reuse"`
	maxCost       decimal.NullDecimal // stands beside the manifest's
	endpoint      string
}

// Under returns the plan as it would be run with a configuration. What of that
// decides about money then stands in its document: the cap, the endpoint, which
// jobs are chosen, what is paid again, and what is reused. All else is shared. It
// reads the journals of the batches that are to be reused; an error matches
// [ErrUsage] if one of them is no batch.
func (p *Plan) Under(cfg Config) (*Plan, error) {
	bound := *p
	bound.bound = true
	bound.runTerms = runTerms{Output: cfg.Output, Limit: cfg.Limit, Only: cfg.Only, RetryFailed: cfg.RetryFailed,
		AcceptChanges: cfg.AcceptChanges, Reuse: cfg.Reuse, maxCost: cfg.MaxCost, endpoint: cfg.Endpoint}
	return &bound, bound.findReusable(cfg)
}

// boundTo is the plan itself if [Plan.Under] made it, else what that makes of it.
func (p *Plan) boundTo(cfg Config) (*Plan, error) {
	if p.bound {
		return p, nil
	}
	return p.Under(cfg)
}

type laneDocument struct {
	Workspace string `json:"workspace"`
	APIKeyEnv string `json:"api_key_env"`
	Endpoint  string `json:"endpoint"`
}

// jobDocument has its keys in the order of their names, as a tree has them.
type jobDocument struct {
	Estimated struct {
		High decimal.Decimal `json:"high"`
		Low  decimal.Decimal `json:"low"`
	} `json:"estimated"`
	File      string              `json:"file"`
	Hold      decimal.Decimal     `json:"hold"`
	ID        string              `json:"id"`
	Image     string              `json:"image"`
	Key       string              `json:"key"`
	Labels    map[string]string   `json:"labels"`
	Length    decimal.NullDecimal `json:"length_seconds"`
	Mode      Mode                `json:"mode"`
	Reused    string              `json:"reused_from,omitzero"`
	UnitPrice decimal.Decimal     `json:"unit_price"`
	Video     string              `json:"video"`
}

func (p *Plan) document() planDocument {
	m, e := &p.Manifest, p.Estimate()
	doc := planDocument{
		Version: 1, Batch: m.Name, Currency: p.Currency, MaxCost: m.Budget.MaxCost, Output: m.Output.File,
		Store: m.Output.Store, Inputs: m.Inputs.Store,
		Lane:  laneDocument{Workspace: m.Lane.Workspace, APIKeyEnv: m.Lane.APIKeyEnv, Endpoint: cmp.Or(p.runTerms.endpoint, m.Lane.Endpoint)},
		Terms: p.runTerms, Settings: e.Settings, Prices: e.Prices, Total: e.Money,
	}
	if p.runTerms.maxCost.Valid {
		doc.MaxCost = p.runTerms.maxCost
	}
	doc.Terms.Only, doc.Terms.Reuse = append([]string{}, doc.Terms.Only...), append([]string{}, doc.Terms.Reuse...) // never null
	return doc
}

// documents yields each job as it stands in the document.
func (p *Plan) documents() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for j, err := range p.Jobs() {
			var text []byte
			if err == nil {
				d := jobDocument{
					ID: j.ID, Key: j.ContentKey, Image: j.ImageName, Video: j.VideoName, Mode: j.Mode, Labels: j.Labels,
					Length: j.Length, UnitPrice: j.UnitPrice, Hold: j.Hold, File: j.File, Reused: j.ReusedFrom,
				}
				d.Estimated.Low, d.Estimated.High = j.Estimated.Low, j.Estimated.High
				text, err = json.Marshal(d)
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// tree returns the document as plain values.
func (doc planDocument) tree() (map[string]any, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return decodeTree(bytes.NewReader(text))
}

func decodeTree(r io.Reader) (map[string]any, error) {
	dec := json.NewDecoder(r)
	dec.UseNumber() // a number keeps its spelling, and with it its hash
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text follows the document")
	}
	return tree, nil
}

// treeHash is the hash of a document: SHA-256 of its JSON without the hash,
// compact and with sorted keys.
func treeHash(tree map[string]any) (string, error) {
	bare := maps.Clone(tree)
	delete(bare, "sha256")
	text, err := json.Marshal(bare)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Save writes the plan as a document that a person can review and a later run can
// be held to; see [ReadPlan]. Equal plans give equal bytes, whatever the time and
// the machine. Jobs are written as they are resolved; when that fails, what was
// written is no document.
func (p *Plan) Save(w io.Writer) error {
	tree, err := p.document().tree()
	if err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	tree["jobs"], tree["sha256"] = nil, nil // both have their place in the order, and are made on the way
	out := &documentWriter{w: bufio.NewWriter(w), sum: sha256.New()}
	keys := slices.Sorted(maps.Keys(tree))
	for i, key := range keys {
		switch key {
		case "jobs":
			err = out.list(key, p.documents())
		case "sha256":
			err = out.hash(tree, keys[i+1:])
		default:
			err = out.member(key, tree[key])
		}
		if err != nil {
			return fmt.Errorf("save plan: %w", err)
		}
	}
	out.write("\n}\n")
	if err := out.w.Flush(); err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	return nil
}

// documentWriter writes a document as json.MarshalIndent would, and meanwhile
// takes its hash as [treeHash] would.
type documentWriter struct {
	w      *bufio.Writer // keeps its first error until it is flushed
	sum    hash.Hash
	begun  bool // a member was written
	hashed bool // all members are in the hash
}

func (d *documentWriter) write(text string) { _, _ = d.w.WriteString(text) }

// key begins a member.
func (d *documentWriter) key(name string) {
	before, indent := "{", "{\n"
	if d.begun {
		before, indent = ",", ",\n"
	}
	d.begun = true
	d.write(indent + `  "` + name + `": `)
	d.digest(before + `"` + name + `":`)
}

func (d *documentWriter) digest(text string) {
	if !d.hashed {
		_, _ = io.WriteString(d.sum, text) // a hash takes everything
	}
}

func (d *documentWriter) member(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	d.key(name)
	d.digest(string(text))
	return d.indented(text, "  ")
}

func (d *documentWriter) indented(text []byte, prefix string) error {
	var b bytes.Buffer
	if err := json.Indent(&b, text, prefix, "  "); err != nil {
		return err
	}
	_, err := d.w.Write(b.Bytes())
	return err
}

// list writes a member that is a list of objects.
func (d *documentWriter) list(name string, items iter.Seq2[[]byte, error]) error {
	d.key(name)
	d.write("[")
	d.digest("[")
	after := ""
	for text, err := range items {
		if err != nil {
			return err
		}
		d.write(after + "\n    ")
		d.digest(after + string(text))
		if err := d.indented(text, "    "); err != nil {
			return err
		}
		after = ","
	}
	if after != "" {
		d.write("\n  ")
	}
	d.write("]")
	d.digest("]")
	return nil
}

// hash writes the hash, for which it needs the members that come after it.
func (d *documentWriter) hash(tree map[string]any, after []string) error {
	for _, key := range after {
		text, err := json.Marshal(tree[key])
		if err != nil {
			return err
		}
		d.digest(`,"` + key + `":` + string(text))
	}
	d.digest("}")
	d.hashed = true
	return d.member("sha256", hex.EncodeToString(d.sum.Sum(nil)))
}

// maxPlanBytes bounds a plan document that is read; one job takes about 700 bytes,
// so that it may have about 90,000 jobs.
const maxPlanBytes = 64 << 20

// SavedPlan is a plan document that was read back.
type SavedPlan struct{ tree map[string]any }

// ReadPlan reads what [Plan.Save] wrote. A document that was edited since, or is
// of another version, is an error: what a person approved must be what is run.
func ReadPlan(r io.Reader) (*SavedPlan, error) {
	limited := &io.LimitedReader{R: r, N: maxPlanBytes}
	tree, err := decodeTree(limited)
	if limited.N == 0 {
		return nil, fmt.Errorf("read plan: the document is larger than %d MiB, too large to be compared", maxPlanBytes>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if tree["version"] != json.Number("1") {
		return nil, errors.New("read plan: not a plan document of version 1")
	}
	hash, err := treeHash(tree)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if tree["sha256"] != hash {
		return nil, errors.New("read plan: the document was changed after it was written; save the plan again and review it")
	}
	return &SavedPlan{tree: tree}, nil
}

// SHA256 returns the hash that the document names itself by, 64 hex digits.
func (s *SavedPlan) SHA256() string {
	hash, _ := s.tree["sha256"].(string)
	return hash
}

// Diff returns one line for each difference between the saved plan and a plan
// made now, in a fixed order; none when they are the same. Everything counts that
// can change what is made, paid or stored, also settings, prices and the order of
// jobs.
func (s *SavedPlan) Diff(now *Plan) ([]string, error) {
	tree, err := now.tree()
	if err != nil {
		return nil, fmt.Errorf("compare plans: %w", err)
	}
	saved := maps.Clone(s.tree)
	delete(saved, "sha256")
	wasOrder, was := jobsByID(saved)
	isOrder, is := jobsByID(tree)
	saved["jobs"], tree["jobs"] = was, is
	lines := differ(nil, "", saved, tree)
	if len(lines) == 0 && !slices.Equal(wasOrder, isOrder) {
		lines = append(lines, "jobs: the order changed")
	}
	return lines, nil
}

// tree returns the whole document but its hash: what [ReadPlan] reads.
func (p *Plan) tree() (map[string]any, error) {
	tree, err := p.document().tree()
	if err != nil {
		return nil, err
	}
	jobs := []any{}
	for text, err := range p.documents() {
		if err != nil {
			return nil, err
		}
		job, err := decodeTree(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	tree["jobs"] = jobs
	return tree, nil
}

// jobsByID turns the list of jobs into a mapping, so that one job more or less
// does not make all that follow it different.
func jobsByID(tree map[string]any) (order []string, jobs map[string]any) {
	list, _ := tree["jobs"].([]any)
	jobs = make(map[string]any, len(list))
	for _, item := range list {
		job, _ := item.(map[string]any)
		id, _ := job["id"].(string)
		order = append(order, id)
		jobs[id] = job
	}
	return order, jobs
}

// differ appends a line for each leaf in which two trees differ.
func differ(lines []string, path string, was, is any) []string {
	before, wasMap := was.(map[string]any)
	after, isMap := is.(map[string]any)
	if !wasMap || !isMap {
		if wasText, isText := leaf(was), leaf(is); wasText != isText {
			lines = append(lines, fmt.Sprintf("%s: was %s, is %s", path, shown(wasText), shown(isText)))
		}
		return lines
	}
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		inside := join(path, key)
		old, existed := before[key]
		fresh, exists := after[key]
		switch {
		case !existed:
			lines = append(lines, inside+": is new")
		case !exists:
			lines = append(lines, inside+": is gone")
		default:
			lines = differ(lines, inside, old, fresh)
		}
	}
	return lines
}

// leaf returns a value as JSON.
func leaf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
