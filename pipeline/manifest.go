package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"gopkg.in/yaml.v3"
)

// Models that this program runs. They share one API and one set of limits.
const (
	ModelMove = "wan2.2-animate-move" // the picture's person moves like the video's, before the picture's background
	ModelMix  = "wan2.2-animate-mix"  // the picture's person replaces the video's, in the video's scene
)

// Mode is the provider's service level of a job. It decides quality, run time
// and price.
type Mode string

// The two modes. Both deliver the 720P class.
const (
	ModeStd Mode = "wan-std" // 15 frames per second, faster and cheaper; the default
	ModePro Mode = "wan-pro" // 25 frames per second
)

// Exclusive says who else may create tasks on a lane. It decides how far an
// unknown task may be trusted to be ours.
type Exclusive string

// The three degrees of exclusiveness.
const (
	ExclusiveNo  Exclusive = "false" // others may; an unknown task is never adopted. The default
	ExclusiveYes Exclusive = "true"  // nothing else creates tasks of this model on this account and region
	ExclusiveKey Exclusive = "key"   // nothing else uses this API key
)

// Manifest is one batch as its author wrote it, with defaults filled in. A
// manifest built in code starts from [NewManifest]; [NewPlan] checks both kinds.
type Manifest struct {
	Version    int               `yaml:"version"`     // of the manifest format: 1
	Name       string            `yaml:"name"`        // names the output folder; the file's stem by default, "" when read from standard input
	Model      string            `yaml:"model"`       // ModelMove or ModelMix; ModelMove by default
	Mode       Mode              `yaml:"mode"`        // of pairs that name none; ModeStd by default
	Watermark  bool              `yaml:"watermark"`   // let the provider mark the video as generated
	CheckImage bool              `yaml:"check_image"` // let the provider check the image before it runs; true by default
	Labels     map[string]string `yaml:"labels"`      // carried into the report; nil when there are none
	Lane       Lane              `yaml:"lane"`
	Limits     Limits            `yaml:"limits"`
	Budget     Budget            `yaml:"budget"`
	Inputs     Inputs            `yaml:"inputs"`
	Output     Output            `yaml:"output"`
	Pairs      []Pair            `yaml:"-"`          // in the author's order; they come first
	Matrix     Matrix            `yaml:"matrix"`     // more pairs, after these
	PairsFrom  string            `yaml:"pairs_from"` // path of a CSV or JSON-lines file with more pairs, the last ones; "" for none

	File   string `yaml:"-"` // name used in messages; "" for a manifest built in code
	Dir    string `yaml:"-"` // what relative media paths are relative to; "" is the working directory
	SHA256 string `yaml:"-"` // of the manifest's bytes, 64 hex digits; "" for a manifest built in code

	given map[string]position // keys that the file spells out, as dotted paths without pairs
	wrong *problems           // what reading found; nil if nothing
}

// Has reports whether the manifest's file spells out a setting, by its dotted
// path ("mode", "limits.settle", "lane.exclusive"), so that a caller can tell a
// value the author chose from a default. Keys inside pairs are not recorded.
func (m *Manifest) Has(path string) bool {
	_, found := m.given[path]
	return found && path != ""
}

// Rename gives the batch another name than its manifest did. The error says why
// that cannot name a folder.
func (m *Manifest) Rename(name string) error {
	if problem := nameProblem(name, maxIDBytes); problem != "" {
		return fmt.Errorf("%s cannot name a batch and its folder: it %s", quote(name), problem)
	}
	m.Name = name
	return nil
}

// Pair is one image and one video.
type Pair struct {
	ID     string            `yaml:"id"`     // safe as a file name, unique ignoring case; derived from the stems when the author gave none
	Image  string            `yaml:"image"`  // local path, http(s) URL or oss:// URL, as written
	Video  string            `yaml:"video"`  // likewise
	Mode   Mode              `yaml:"mode"`   // overrides the manifest's; "" when not given
	Labels map[string]string `yaml:"labels"` // override the manifest's, label by label

	Line int `yaml:"-"` // of the pair in the file that lists it, from 1; 0 for a pair built in code

	from                   source   // where it was listed
	index                  int32    // there, from 0
	column                 int32    // with Line
	id, image, video, mode position // of the values; zero when not in a file
}

// Matrix pairs every image with every video: the first image with each video,
// then the second. Entries are paths, folders, patterns or URLs, in the author's
// order. A folder stands for the media directly in it; a pattern has * ? [a-z] as
// the shell does, and ** for any folders between. What they stand for is sorted by
// name; hidden files are left out, extensions match in any case, and what is
// listed twice counts once. [NewPlan] looks at the disk, so that the batch grows
// with its folders.
type Matrix struct {
	Images []string `yaml:"images"`
	Videos []string `yaml:"videos"`
}

func (m Matrix) empty() bool { return len(m.Images)+len(m.Videos) == 0 }

// Lane names the account, region and endpoint that spend.
type Lane struct {
	Region    string    `yaml:"region"`      // "beijing" or "singapore"; decides prices and currency
	Workspace string    `yaml:"workspace"`   // selects the workspace host; "" for none
	APIKeyEnv string    `yaml:"api_key_env"` // environment variable that holds the key and then its only source; "" for the usual places
	Endpoint  string    `yaml:"endpoint"`    // base URL instead of the region's own; "" for none
	Exclusive Exclusive `yaml:"exclusive"`   // ExclusiveNo by default
}

// Budget is the most a batch may cost over its whole life, all runs together.
type Budget struct {
	MaxCost  decimal.NullDecimal `yaml:"max_cost"` // not valid: no cap
	Currency string              `yaml:"currency"` // of MaxCost; the region's, CNY or USD
}

// Output says where a job's video goes.
type Output struct {
	// File is the template of a video's name below videos/: a relative path with
	// forward slashes that ends in .mp4. {id}, {image}, {video} and {mode} are
	// replaced, the media by their file names without extension. "{id}.mp4" by default.
	File string `yaml:"file"`
	// Store is a bucket of one's own that verified videos are put into, as
	// <prefix>/<batch>/<file>; "" for none. It is written
	// oss://bucket/prefix?region=ap-southeast-1 (Alibaba Cloud OSS) or
	// s3://bucket/prefix?endpoint=https://host (whatever speaks S3; without endpoint,
	// and with a region, AWS). Credentials are never part of it. A wanbatch.txt claims
	// the folder for the batch: another one of its name is refused with [ErrUsage].
	Store string `yaml:"store"`
	// StoreOnly removes the local video once the store has confirmed it.
	StoreOnly bool `yaml:"store_only"`
}

// Inputs says how local images and videos reach the provider.
type Inputs struct {
	// Store is a bucket of one's own, written like that of [Output], that local inputs
	// are put into once per content; the provider is given signed URLs. "" is the
	// provider's own temporary store.
	Store string `yaml:"store"`
}

// Limits paces a run. Every value is a setting because the provider documents
// only some of the limits, and those for one kind of account.
type Limits struct {
	Running         int           `yaml:"running"`           // tasks running at once; at least 1, by default 1 (the documented limit per account, model and region)
	QueueAhead      int           `yaml:"queue_ahead"`       // tasks waiting at the provider beyond the running ones; 0 or more, by default 2
	CreatePerSecond float64       `yaml:"create_per_second"` // creates; at least 0.001, by default 1 (documented limit 5)
	QueryPerSecond  float64       `yaml:"query_per_second"`  // queries, lists and cancels together; at least 0.001, by default 10 (documented limit 20)
	PollMin         time.Duration `yaml:"poll_min"`          // one task is never looked at more often; above 0, by default 1 s
	PollMax         time.Duration `yaml:"poll_max"`          // nor left longer while it can be running; at least PollMin, by default 15 s
	Settle          time.Duration `yaml:"settle"`            // wait before a list counts as evidence; 0 or more, by default 120 s (list visibility is undocumented)
	TaskLife        time.Duration `yaml:"task_life"`         // of a task id from submission; above Settle, by default 24 h
	BurstWait       time.Duration `yaml:"burst_wait"`        // pause after the burst guard speaks; 0 or more, by default 60 s
	Tries           int           `yaml:"tries"`             // tasks for one job at most, over retryable failures; 1 to 10, by default 3
}

// DefaultLimits returns the limits of a manifest that sets none.
func DefaultLimits() Limits {
	return Limits{
		Running:         1,
		QueueAhead:      2,
		CreatePerSecond: 1,
		QueryPerSecond:  10,
		PollMin:         time.Second,
		PollMax:         15 * time.Second,
		Settle:          120 * time.Second,
		TaskLife:        24 * time.Hour,
		BurstWait:       60 * time.Second,
		Tries:           3,
	}
}

// NewManifest returns a manifest with every default filled in and nothing that
// has none: region and pairs are still to be set.
func NewManifest() *Manifest {
	return &Manifest{
		Version:    1,
		Model:      ModelMove,
		Mode:       ModeStd,
		CheckImage: true,
		Lane:       Lane{Exclusive: ExclusiveNo},
		Limits:     DefaultLimits(),
		Output:     Output{File: "{id}.mp4"},
	}
}

// StdinName is the name under which [ReadManifest] is told that a manifest comes
// from standard input: problems then stand at "stdin", media are relative to the
// working directory, and the batch has no name until one is given.
const StdinName = "-"

// ReadManifestFile reads the manifest at path; see [ReadManifest].
func ReadManifestFile(path string) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close() // read only: nothing can be lost
	return ReadManifest(f, path)
}

// ReadManifest reads one YAML manifest of version 1, strictly: whatever it does
// not understand is a problem. name is the manifest's path, used in messages, for
// the batch's default name and as the base of relative media paths; or
// [StdinName]. Nothing but r is read: what a matrix stands for, what pairs_from
// holds, whether media exist and suit the provider are questions for [NewPlan].
//
// All problems are reported at once, in a [*ManifestError]. If the text could be
// understood at all, the manifest is returned with it, as far as it goes: NewPlan
// refuses it with the same problems and those of its media. Other errors come
// from r. Input is bounded before it is parsed, so hostile text costs at most
// about a second and 64 MiB.
func ReadManifest(r io.Reader, name string) (*Manifest, error) {
	found := &problems{file: name}
	if name == StdinName {
		found.file = "stdin"
	}
	data, err := readBounded(r, found)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", found.file, err)
	}
	if len(found.list) > 0 {
		return nil, found.err()
	}
	root, err := parseYAML(data)
	if err != nil {
		place, message := syntaxPlace(err)
		found.add(place, syntaxHint(message), "%s", shown(message))
		return nil, found.err()
	}
	newSchemaChecker(found).check(root)
	found.basic = len(found.list)
	m := decode(root, name, found)
	m.SHA256 = hexSHA256(data)
	m.complete()
	m.check(found)
	if err := m.listPairs().check(context.Background(), found, nil); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", found.file, err) // unreachable: no file is read
	}
	if err := found.err(); err != nil {
		m.wrong = found
		return m, err
	}
	return m, nil
}

// decode fills a manifest from its nodes as far as they have the right types. The
// schema has reported those that do not; what it could not see, such as a
// duration of a million years, is reported here.
func decode(root *yaml.Node, name string, found *problems) *Manifest {
	m := NewManifest()
	var wrong *yaml.TypeError
	if err := root.Decode(m); errors.As(err, &wrong) && found.basic == 0 {
		for _, text := range wrong.Errors {
			place, message := syntaxPlace(errors.New(text))
			found.add(place, "", "%s", shown(message))
		}
	}
	m.File, m.Dir = name, filepath.Dir(name)
	if m.Name == "" && name != StdinName {
		base := filepath.Base(name)
		m.Name = safeName(strings.TrimSuffix(base, filepath.Ext(base)))
	}
	m.given = map[string]position{"": at(root)}
	mark(m.given, root, "")
	if pairs := child(root, "pairs"); pairs != nil && pairs.Kind == yaml.SequenceNode {
		m.Pairs = make([]Pair, len(pairs.Content))
		for i, n := range pairs.Content {
			m.Pairs[i] = decodePair(n)
		}
	}
	return m
}

func decodePair(n *yaml.Node) Pair {
	var p Pair
	_ = n.Decode(&p) // text alone: the schema has seen all that can be wrong
	p.Line, p.column = n.Line, int32(n.Column)
	for key, place := range map[string]*position{"id": &p.id, "image": &p.image, "video": &p.video, "mode": &p.mode} {
		if value := child(n, key); value != nil {
			*place = at(value)
		}
	}
	return p
}

// mark notes the place of every value outside the pairs; of lists, only the
// matrix's are looked into.
func mark(given map[string]position, n *yaml.Node, path string) {
	if n.Kind == yaml.SequenceNode && strings.HasPrefix(path, "matrix.") {
		for i, item := range n.Content {
			given[fmt.Sprintf("%s[%d]", path, i)] = at(item)
		}
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := join(path, n.Content[i].Value)
		given[key] = at(n.Content[i+1])
		mark(given, n.Content[i+1], key)
	}
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
