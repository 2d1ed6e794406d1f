package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// A plan document is version 1 of what [Plan.Save] writes: JSON with the settings
// of a batch, its price table and its jobs, and under "sha256" the hash of all
// the rest. It holds no secret: URLs stand without their query. Keys may be
// added within version 1; then an older document differs from every new plan,
// and must be made and reviewed again.
type planDocument struct {
	Version  int                 `json:"version"`
	Batch    string              `json:"batch"`
	Currency string              `json:"currency"`
	MaxCost  decimal.NullDecimal `json:"max_cost"`
	Output   string              `json:"output_file"`
	Lane     laneDocument        `json:"lane"`
	Settings EstimateSettings    `json:"settings"`
	Prices   PriceTable          `json:"price_table"`
	Total    Range               `json:"estimated"`
	Jobs     []jobDocument       `json:"jobs"`
}

type laneDocument struct {
	Workspace string `json:"workspace"`
	APIKeyEnv string `json:"api_key_env"`
	Endpoint  string `json:"endpoint"`
}

type jobDocument struct {
	ID        string              `json:"id"`
	Key       string              `json:"key"`
	Image     string              `json:"image"`
	Video     string              `json:"video"`
	Mode      Mode                `json:"mode"`
	Labels    map[string]string   `json:"labels"`
	Length    decimal.NullDecimal `json:"length_seconds"`
	UnitPrice decimal.Decimal     `json:"unit_price"`
	Estimated Range               `json:"estimated"`
	Hold      decimal.Decimal     `json:"hold"`
	File      string              `json:"file"`
}

func (p *Plan) document() planDocument {
	m, e := &p.Manifest, p.Estimate()
	doc := planDocument{
		Version: 1, Batch: m.Name, Currency: p.Currency, MaxCost: m.Budget.MaxCost, Output: m.Output.File,
		Lane:     laneDocument{Workspace: m.Lane.Workspace, APIKeyEnv: m.Lane.APIKeyEnv, Endpoint: m.Lane.Endpoint},
		Settings: e.Settings, Prices: e.Prices, Total: e.Money,
		Jobs: make([]jobDocument, len(p.jobs)),
	}
	for i, j := range p.jobs {
		doc.Jobs[i] = jobDocument{
			ID: j.ID, Key: j.Key, Image: j.ImageName, Video: j.VideoName, Mode: j.Mode, Labels: j.Labels,
			Length: j.Length, UnitPrice: j.UnitPrice, Estimated: j.Estimated, Hold: j.Hold, File: j.File,
		}
	}
	return doc
}

// tree returns the document as plain values: what both sides of a comparison are.
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
// the machine.
func (p *Plan) Save(w io.Writer) error {
	tree, err := p.document().tree()
	if err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	if tree["sha256"], err = treeHash(tree); err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	text, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	return nil
}

// maxPlanBytes bounds a plan document; one job takes about 700 bytes.
const maxPlanBytes = 64 << 20

// SavedPlan is a plan document that was read back.
type SavedPlan struct{ tree map[string]any }

// ReadPlan reads what [Plan.Save] wrote. A document that was edited since, or is
// of another version, is an error: what a person approved must be what is run.
func ReadPlan(r io.Reader) (*SavedPlan, error) {
	tree, err := decodeTree(io.LimitReader(r, maxPlanBytes))
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
	tree, err := now.document().tree()
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
		lines = append(lines, "jobs: the order is another")
	}
	return lines, nil
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
