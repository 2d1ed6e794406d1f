package pipeline_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// A definition is what FOCUS 1.2 says of a column.
type definition struct {
	level   string // mandatory, conditional, recommended
	null    bool   // allowed
	kind    string // string, decimal, time, json
	allowed []string
}

// focusDefinitions are the content constraints of all columns of FOCUS 1.2, as the
// specification's column pages have them at tag v1.2.
func focusDefinitions(t *testing.T) map[string]definition {
	t.Helper()
	const text = `
AvailabilityZone recommended null string
BilledCost mandatory - decimal
BillingAccountId mandatory - string
BillingAccountName mandatory null string
BillingAccountType conditional - string
BillingCurrency mandatory - currency
BillingPeriodEnd mandatory - time
BillingPeriodStart mandatory - time
CapacityReservationId conditional null string
CapacityReservationStatus conditional null string Used|Unused
ChargeCategory mandatory - string Usage|Purchase|Tax|Credit|Adjustment
ChargeClass mandatory null string Correction
ChargeDescription mandatory null string
ChargeFrequency recommended - string One-Time|Recurring|Usage-Based
ChargePeriodEnd mandatory - time
ChargePeriodStart mandatory - time
CommitmentDiscountCategory conditional null string Spend|Usage
CommitmentDiscountId conditional null string
CommitmentDiscountName conditional null string
CommitmentDiscountQuantity conditional null decimal
CommitmentDiscountStatus conditional null string Used|Unused
CommitmentDiscountType conditional null string
CommitmentDiscountUnit conditional null unit
ConsumedQuantity conditional null decimal
ConsumedUnit conditional null unit
ContractedCost mandatory - decimal
ContractedUnitPrice conditional null price
EffectiveCost mandatory - decimal
InvoiceId recommended null string
InvoiceIssuerName mandatory - string
ListCost mandatory - decimal
ListUnitPrice conditional null price
PricingCategory conditional null string Standard|Dynamic|Committed|Other
PricingCurrency conditional null currency
PricingCurrencyContractedUnitPrice conditional null price
PricingCurrencyEffectiveCost conditional null decimal
PricingCurrencyListUnitPrice conditional null price
PricingQuantity mandatory null decimal
PricingUnit mandatory null unit
ProviderName mandatory - string
PublisherName mandatory - string
RegionId conditional null string
RegionName conditional null string
ResourceId conditional null string
ResourceName conditional null string
ResourceType conditional null string
ServiceCategory mandatory - string AI and Machine Learning|Analytics|Business Applications|Compute|Databases|Developer Tools|Multicloud|Identity|Integration|Internet of Things|Management and Governance|Media|Migration|Mobile|Networking|Security|Storage|Web|Other
ServiceName mandatory - string
ServiceSubcategory recommended - string AI Platforms|Bots|Generative AI|Machine Learning|Natural Language Processing|Other (AI and Machine Learning)
SkuId conditional null string
SkuMeter conditional null string
SkuPriceDetails conditional null json
SkuPriceId conditional null string
SubAccountId conditional null string
SubAccountName conditional null string
SubAccountType conditional null string
Tags conditional null json`
	all := map[string]definition{}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		f := strings.SplitN(line, " ", 5)
		d := definition{level: f[1], null: f[2] == "null", kind: f[3]}
		if len(f) == 5 {
			d.allowed = strings.Split(f[4], "|")
		}
		all[f[0]] = d
	}
	if len(all) != 57 {
		t.Fatalf("%d columns, FOCUS 1.2 has 57", len(all))
	}
	return all
}

// usageNeeds are the conditional columns that a row of usage with a published list
// price must have, and have filled.
var usageNeeds = []string{"ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory",
	"PricingQuantity", "PricingUnit", "RegionId", "RegionName", "SkuId", "SkuMeter", "SkuPriceId"}

var (
	pascal   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,49}$`)
	number   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?(E-?[0-9]+)?$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
	unit     = regexp.MustCompile(`^(Seconds|Minutes|Hours)$`)
)

// violations judges a FOCUS file by the definitions.
func violations(t *testing.T, text string) (found []string) {
	t.Helper()
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	defs := focusDefinitions(t)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("not a table: %v", err)
	}
	ours := false
	for i, name := range rows[0] {
		bare, custom := strings.CutPrefix(name, "x_")
		_, known := defs[name]
		switch {
		case !pascal.MatchString(bare):
			say("%s is not in Pascal case", name)
		case slices.Contains(rows[0][:i], name):
			say("%s is there twice", name)
		case !custom && !known:
			say("%s is no column of FOCUS", name)
		case !custom && ours:
			say("%s stands after our own columns", name)
		}
		ours = ours || custom
	}
	for name, d := range defs {
		if (d.level == "mandatory" || slices.Contains(usageNeeds, name)) && !slices.Contains(rows[0], name) {
			say("%s is missing", name)
		}
	}
	for _, cells := range rows[1:] {
		row := map[string]string{}
		for i, name := range rows[0] {
			row[name] = cells[i]
			if d, known := defs[name]; known {
				if why := d.refuses(cells[i]); why != "" {
					say("%s %q: %s", name, cells[i], why)
				}
			}
		}
		found = append(found, inconsistencies(row)...)
	}
	return found
}

// refuses says why a value does not fit a column, "" if it does.
func (d definition) refuses(value string) string {
	if value == "" {
		if d.null {
			return ""
		}
		return "null"
	}
	if d.allowed != nil && !slices.Contains(d.allowed, value) {
		return "not an allowed value"
	}
	ok := strings.TrimSpace(value) != "" && utf8.ValidString(value)
	switch d.kind {
	case "decimal":
		ok = number.MatchString(value)
	case "price":
		ok = number.MatchString(value) && value[0] != '-'
	case "currency":
		ok = currency.MatchString(value)
	case "unit":
		ok = unit.MatchString(value)
	case "time":
		_, err := time.Parse("2006-01-02T15:04:05Z", value)
		ok = err == nil
	case "json":
		ok = flatObject(value)
	}
	if !ok {
		return "not a " + d.kind
	}
	return ""
}

// flatObject reports whether a text is a JSON object of scalars with unique keys.
func flatObject(text string) bool {
	var values map[string]any
	if json.Unmarshal([]byte(text), &values) != nil || values == nil {
		return false
	}
	for _, v := range values {
		switch v.(type) {
		case map[string]any, []any:
			return false
		}
	}
	return strings.Count(text, `":`) >= len(values)
}

// inconsistencies are rules over the columns of a row of usage.
func inconsistencies(row map[string]string) (found []string) {
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, name := range usageNeeds {
		if row[name] == "" {
			say("%s is null in a row of usage", name)
		}
	}
	for _, pair := range [][2]string{{"PricingQuantity", "PricingUnit"}, {"ConsumedQuantity", "ConsumedUnit"}, {"RegionId", "RegionName"}, {"ResourceId", "ResourceType"}} {
		if (row[pair[0]] == "") != (row[pair[1]] == "") {
			say("one of %s and %s is null", pair[0], pair[1])
		}
	}
	d := func(name string) decimal.Decimal { v, _ := decimal.NewFromString(row[name]); return v }
	for _, kind := range []string{"List", "Contracted"} {
		if !d(kind + "UnitPrice").Mul(d("PricingQuantity")).Equal(d(kind + "Cost")) {
			say("%sUnitPrice x PricingQuantity is not %sCost", kind, kind)
		}
	}
	if row["BillingPeriodStart"] > row["ChargePeriodStart"] || row["ChargePeriodStart"] >= row["ChargePeriodEnd"] ||
		row["ChargePeriodEnd"] > row["BillingPeriodEnd"] {
		say("periods %s..%s in %s..%s", row["ChargePeriodStart"], row["ChargePeriodEnd"], row["BillingPeriodStart"], row["BillingPeriodEnd"])
	}
	if row["ResourceName"] == row["ResourceId"] {
		say("ResourceName repeats ResourceId")
	}
	return found
}

func focus(t *testing.T, reports ...*pipeline.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := pipeline.WriteFOCUS(&b, "", reports...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// column adds a column of amounts up, for rows of one currency.
func column(t *testing.T, text, name, currency string) decimal.Decimal {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var sum decimal.Decimal
	for _, row := range rows[1:] {
		if row[slices.Index(rows[0], "BillingCurrency")] == currency {
			sum = sum.Add(decimal.RequireFromString(row[slices.Index(rows[0], name)]))
		}
	}
	return sum
}

// A real batch with a failed task, and what its report bills.
func TestFOCUSOfABatch(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-algo:1", "failed-input:3")
	report := r.run(r.plan(4, "true", func(m *pipeline.Manifest) {
		m.Pairs[0].Mode = pipeline.ModePro
		m.Labels = map[string]string{"client": "acme"}
	}))
	text := focus(t, report)
	for _, v := range violations(t, text) {
		t.Error(v)
	}
	if n := strings.Count(text, "\n") - 1; n != report.Totals.Done || n < 2 {
		t.Errorf("%d rows for %d videos", n, report.Totals.Done)
	}
	for name, want := range map[string]decimal.Decimal{"BilledCost": report.Totals.Billed, "PricingQuantity": report.Totals.BilledSeconds} {
		if got := column(t, text, name, "USD"); !got.Equal(want) {
			t.Errorf("%s adds up to %s, the report says %s", name, got, want)
		}
	}
}

// billed makes a report with one task for each time, of one second each.
func billed(name, region, currency, price string, labels map[string]string, ends ...time.Time) *pipeline.Report {
	unit := decimal.RequireFromString(price)
	r := &pipeline.Report{Batch: name, Model: "wan2.2-animate-move", Currency: currency,
		Lane: pipeline.ReportLane{Region: region, KeyFingerprint: "a1b2c3d4"}, Totals: pipeline.Totals{ByLabel: map[string]map[string]pipeline.Part{}}}
	for label := range labels {
		r.Totals.ByLabel[label] = map[string]pipeline.Part{}
	}
	for i, end := range ends {
		id, status := fmt.Sprintf("task-%s-%d", name, i), "SUCCEEDED"
		day := end.In(time.FixedZone("", 8*60*60)).Format(time.DateOnly)
		r.Jobs = append(r.Jobs, pipeline.Result{ID: fmt.Sprintf("-job-%d", i), Mode: "wan-std", Lane: region, Labels: labels, UnitPrice: unit,
			Attempts: []pipeline.Attempt{{N: 1, At: end, Mode: "wan-std", Labels: labels, TaskID: &id, Status: &status, BillingDate: &day,
				Seconds: decimal.NewNullDecimal(decimal.NewFromInt(1)), Billed: decimal.NewNullDecimal(unit)}}})
		r.Totals.Billed = r.Totals.Billed.Add(unit)
		r.Totals.BilledSeconds = r.Totals.BilledSeconds.Add(decimal.NewFromInt(1))
		r.Totals.BilledMax = r.Totals.Billed
	}
	return r
}

// newYear is 2027 in Beijing and still 2026 in UTC.
var newYear = time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC)

// Months begin in UTC+8; labels survive whatever is in them; nothing can be run.
func TestFOCUSPeriodsAndTags(t *testing.T) {
	labels := map[string]string{"client": `=cmd|' /C calc'!A0`, "note": "a;\"=1\t＝<>&", "+sum": "x"}
	r := billed("b", "beijing", "CNY", "0.40", labels, newYear, newYear.Add(-time.Second))
	text := focus(t, r)
	wantNoFormula(t, text)
	for _, v := range violations(t, text) {
		t.Error(v)
	}
	rows, _ := csv.NewReader(strings.NewReader(text)).ReadAll()
	cell := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	for row, want := range map[int][]string{
		1: {"2026-12-31T16:00:00Z", "2027-01-31T16:00:00Z", "2026-12-31T16:00:00Z", "2027-01-01T16:00:00Z"},
		2: {"2026-11-30T16:00:00Z", "2026-12-31T16:00:00Z", "2026-12-30T16:00:00Z", "2026-12-31T16:00:00Z"},
	} {
		for i, name := range []string{"BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"} {
			if got := cell(row, name); got != want[i] {
				t.Errorf("row %d: %s is %s, want %s", row, name, got, want[i])
			}
		}
		var tags map[string]string
		if err := json.Unmarshal([]byte(cell(row, "Tags")), &tags); err != nil || fmt.Sprint(tags) != fmt.Sprint(labels) {
			t.Errorf("tags %q became %q: %v", labels, tags, err)
		}
	}
}

// A task of an older content of the job is billed at that content's price.
func TestFOCUSPriceOfAnOlderMode(t *testing.T) {
	r := billed("b", "singapore", "USD", "0.12", nil, newYear)
	r.Jobs[0].UnitPrice = decimal.RequireFromString("0.18")
	r.Jobs[0].Attempts[0].Seconds = decimal.NewNullDecimal(decimal.RequireFromString("5.2"))
	r.Jobs[0].Attempts[0].Billed = decimal.NewNullDecimal(decimal.RequireFromString("0.624"))
	text := focus(t, r)
	for _, v := range violations(t, text) {
		t.Error(v)
	}
	if got := column(t, text, "ListUnitPrice", "USD"); got.String() != "0.12" {
		t.Errorf("list unit price %s", got)
	}
}

// The judge above must notice what it judges.
func TestFOCUSViolationsAreNoticed(t *testing.T) {
	good := focus(t, billed("b", "singapore", "USD", "0.12", map[string]string{"a": "b"}, newYear))
	if v := violations(t, good); len(v) > 0 {
		t.Fatal(v)
	}
	for _, tt := range []struct{ from, to, want string }{
		{"BilledCost", "BilledCosts", "BilledCost is missing"},
		{"BilledCost", "EffectiveCost", "EffectiveCost is there twice"},
		{"InvoiceId", "x_Invoice", "stands after our own columns"},
		{"x_BatchName", "x_batch_name", "Pascal"},
		{"PricingCategory", "x_PricingCategory", "PricingCategory is missing"},
		{`"USD"`, `"usd"`, "not a currency"},
		{`"USD"`, ``, "null"},
		{`"Usage"`, `"Use"`, "not an allowed value"},
		{`"Usage-Based"`, ``, "ChargeFrequency"},
		{`"0.12"`, `"0,12"`, "not a decimal"},
		{`"0.12"`, `"+0.12"`, "not a decimal"},
		{`"0.12","Standard"`, `"0.13","Standard"`, "ListUnitPrice x"},
		{`"Seconds"`, `"seconds"`, "not a unit"},
		{`2027-01-31T16:00:00Z`, `2027-01-31 16:00:00Z`, "not a time"},
		{`2027-01-31T16:00:00Z`, `2026-12-31T16:00:00Z`, "periods"},
		{`"Singapore"`, ``, "RegionName"},
		{`{""a"":""b""}`, `{""a"":[1]}`, "not a json"},
	} {
		if got := strings.Join(violations(t, strings.Replace(good, tt.from, tt.to, 1)), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s for %s: judged %q, want %q", tt.to, tt.from, got, tt.want)
		}
	}
}

// A copy of a batch must not be billed again.
func TestCopyOfABatchIsRefused(t *testing.T) {
	a, b := billed("a", "singapore", "USD", "0.12", nil, newYear), billed("a", "singapore", "USD", "0.12", nil, newYear)
	if err := pipeline.WriteFOCUS(&bytes.Buffer{}, "", a, b); !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "task-a-0") {
		t.Errorf("FOCUS of a batch and its copy: %v", err)
	}
	if _, err := pipeline.NewBill([]*pipeline.Report{a, b}, nil); !errors.Is(err, pipeline.ErrUsage) {
		t.Errorf("bill of a batch and its copy: %v", err)
	}
}
