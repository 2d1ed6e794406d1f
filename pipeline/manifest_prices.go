package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"gopkg.in/yaml.v3"

	"github.com/wanbatch/wanbatch/internal/pricing"
)

// Prices is a price list from a file, which replaces the built-in table for the
// batches that it is given for. Whoever gives it answers for it; no manifest can
// name one.
type Prices struct{ list pricing.List }

// pricesFile is version 1 of a price file, in YAML or JSON:
//
//	version: 1
//	date: 2026-10                  # year and month, or the day
//	source: contract 4711          # where the prices come from, for the report
//	prices:
//	  - {region: singapore, model: wan2.2-animate-move, mode: wan-std, currency: USD, per_second: "0.10"}
//
// Every key is required and no other is known. The currency must be the one that
// the region is billed in. Nothing is taken from the built-in table: a batch needs
// both modes of its model and region in the file. The hash of the list is the
// SHA-256 of the file's bytes, so that anybody can compare a report with the file.
type pricesFile struct {
	Version int        `yaml:"version"`
	Date    string     `yaml:"date"`
	Source  string     `yaml:"source"`
	Prices  []priceRow `yaml:"prices"`
}

type priceRow struct {
	Region    string `yaml:"region"`
	Model     string `yaml:"model"`
	Mode      string `yaml:"mode"`
	Currency  string `yaml:"currency"`
	PerSecond string `yaml:"per_second"`
}

// Bounds of a price file.
const (
	maxPricesBytes  = 64 << 10
	maxPriceSource  = 200 // bytes
	shownPriceFile  = "price file"
	priceDateFormat = `^20[0-9]{2}-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?$`
	priceFormat     = `^[0-9]{1,9}(\.[0-9]{1,9})?$`
)

// ReadPricesFile reads a price list. An error matches [ErrUsage] and names the
// file and what is wrong with it.
func ReadPricesFile(file string) (*Prices, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%w: prices: %w", ErrUsage, err)
	}
	defer f.Close() // read only: nothing can be lost
	data, err := io.ReadAll(io.LimitReader(f, maxPricesBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: prices %s: %w", ErrUsage, file, err)
	}
	list, err := parsePrices(data, filepath.Base(file))
	if err != nil {
		return nil, fmt.Errorf("%w: prices %s: %w", ErrUsage, file, err)
	}
	return &Prices{list}, nil
}

func parsePrices(data []byte, name string) (pricing.List, error) {
	if len(data) > maxPricesBytes || !utf8.Valid(data) {
		return pricing.List{}, fmt.Errorf("not a text of at most %d KiB", maxPricesBytes>>10)
	}
	var doc pricesFile
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return pricing.List{}, errors.New("it is empty")
	} else if err != nil {
		text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  ", "")
		return pricing.List{}, errors.New(regexp.MustCompile(` in type \S+`).ReplaceAllString(strings.ReplaceAll(text, "field ", "key "), ""))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return pricing.List{}, errors.New("more follows the first document")
	}
	sum := sha256.Sum256(data)
	return doc.list(name, hex.EncodeToString(sum[:]))
}

// list checks what was read and turns it into a price list.
func (doc pricesFile) list(name, hash string) (pricing.List, error) {
	source := strings.Join(strings.Fields(doc.Source), " ")
	switch {
	case doc.Version != 1:
		return pricing.List{}, fmt.Errorf("version is %d; this program reads version 1", doc.Version)
	case !regexp.MustCompile(priceDateFormat).MatchString(doc.Date):
		return pricing.List{}, fmt.Errorf("date %s is not a month like 2026-10 or a day like 2026-10-01", quote(doc.Date))
	case source == "" || len(source) > maxPriceSource:
		return pricing.List{}, fmt.Errorf("source says where the prices come from, in at most %d bytes", maxPriceSource)
	case len(doc.Prices) == 0:
		return pricing.List{}, errors.New("it lists no prices")
	}
	var rows []pricing.Row
	for i, p := range doc.Prices {
		if !regexp.MustCompile(priceFormat).MatchString(p.PerSecond) {
			return pricing.List{}, fmt.Errorf("price %d: per_second %s is not an amount like 0.12", i+1, quote(p.PerSecond))
		}
		currency, err := pricing.Currency(p.Region)
		if err != nil {
			return pricing.List{}, fmt.Errorf("price %d: %w", i+1, err)
		}
		if p.Currency != currency {
			return pricing.List{}, fmt.Errorf("price %d: currency %s: %s is billed in %s", i+1, quote(p.Currency), p.Region, currency)
		}
		rows = append(rows, pricing.Row{Region: p.Region, Model: p.Model, Mode: p.Mode, Unit: decimal.RequireFromString(p.PerSecond)})
	}
	edition := pricing.Edition{Date: doc.Date, Source: fmt.Sprintf("%s %s: %s", shownPriceFile, shown(name), shown(source)), Hash: hash}
	return pricing.New(edition, rows)
}
