package pipeline

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteFOCUS writes what some batches were billed as CSV in the form of FOCUS, the
// FinOps Open Cost and Usage Specification, version 1.2 (focus.finops.org, read at
// tag v1.2 of its public repository, of 2025-05-30): one row for each task that the
// provider confirmed usage for, and its columns in alphabetical order.
//
//   - A charge period is the provider's day, a billing period its month, both in
//     UTC+8 and written in UTC.
//   - Every cost is usage times list price. Free quota, discounts and tax are the
//     invoice's: no InvoiceId is given, and nothing is known of sub accounts.
//   - BillingAccountId is account; "" stands for the fingerprint of the batch's API
//     key, because the provider's answers do not name the account.
//   - SkuId is the model, SkuPriceId region/model/mode: the provider publishes no
//     shorter names. A ResourceId is a task id, Tags are the labels that
//     it was made with.
//   - An empty cell is null. A text that a spreadsheet would run has an apostrophe
//     before it, except in Tags, where JSON can say the same.
//
// Tasks that may have been billed besides are not in it; the reports tell how much
// that is. An error that matches [ErrUsage] says that a task is in two reports.
func WriteFOCUS(w io.Writer, account string, reports ...*Report) error {
	all, err := charges(reports)
	if err != nil {
		return err
	}
	columns := focusColumns()
	t := newTable(w)
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	t.row(row...)
	for _, c := range all {
		for i, column := range columns {
			if row[i], err = column.cell(c, account); err != nil {
				return err
			}
		}
		t.row(row...)
	}
	return t.flush()
}

type focusColumn struct {
	name string
	cell func(c charge, account string) (string, error)
}

// focusColumns are those of FOCUS by name, and after them our own.
func focusColumns() []focusColumn {
	of := func(name string, cell func(c charge) string) focusColumn {
		return focusColumn{name, func(c charge, _ string) (string, error) { return cell(c), nil }}
	}
	always := func(name, text string) focusColumn { return of(name, func(charge) string { return text }) }
	cost := func(c charge) string { return c.attempt.Billed.Decimal.String() }
	quantity := func(c charge) string { return c.attempt.Seconds.Decimal.String() }
	price := func(c charge) string { return c.unitPrice().String() }
	return []focusColumn{
		of("BilledCost", cost),
		{"BillingAccountId", focusAccount},
		always("BillingAccountName", ""),
		of("BillingCurrency", func(c charge) string { return c.report.Currency }),
		of("BillingPeriodEnd", func(c charge) string { return focusTime(c.month().AddDate(0, 1, 0)) }),
		of("BillingPeriodStart", func(c charge) string { return focusTime(c.month()) }),
		always("ChargeCategory", "Usage"),
		always("ChargeClass", ""),
		of("ChargeDescription", focusDescription),
		always("ChargeFrequency", "Usage-Based"),
		of("ChargePeriodEnd", func(c charge) string { return focusTime(c.day.AddDate(0, 0, 1)) }),
		of("ChargePeriodStart", func(c charge) string { return focusTime(c.day) }),
		of("ConsumedQuantity", quantity),
		always("ConsumedUnit", "Seconds"),
		of("ContractedCost", cost),
		of("ContractedUnitPrice", price),
		of("EffectiveCost", cost),
		always("InvoiceId", ""),
		always("InvoiceIssuerName", "Alibaba Cloud"),
		of("ListCost", cost),
		of("ListUnitPrice", price),
		always("PricingCategory", "Standard"),
		of("PricingQuantity", quantity),
		always("PricingUnit", "Seconds"),
		always("ProviderName", "Alibaba Cloud"),
		always("PublisherName", "Alibaba Cloud"),
		of("RegionId", func(c charge) string { return focusRegion(c.job.Lane)[0] }),
		of("RegionName", func(c charge) string { return focusRegion(c.job.Lane)[1] }),
		of("ResourceId", func(c charge) string { return *c.attempt.TaskID }),
		of("ResourceName", func(c charge) string { return c.job.ID }),
		always("ResourceType", "Task"),
		always("ServiceCategory", "AI and Machine Learning"),
		always("ServiceName", "Alibaba Cloud Model Studio"),
		always("ServiceSubcategory", "Generative AI"),
		of("SkuId", func(c charge) string { return c.report.Model }),
		always("SkuMeter", "Output Video Duration"),
		{"SkuPriceDetails", func(c charge, _ string) (string, error) {
			return keyValues(map[string]string{"x_Mode": c.attempt.Mode})
		}},
		of("SkuPriceId", func(c charge) string { return c.job.Lane + "/" + c.report.Model + "/" + c.attempt.Mode }),
		{"Tags", func(c charge, _ string) (string, error) { return keyValues(c.attempt.Labels) }},
		of("x_BatchName", func(c charge) string { return c.report.Batch }),
		of("x_PriceTableDate", func(c charge) string { return c.report.PriceTable.Date }),
	}
}

func focusAccount(c charge, account string) (string, error) {
	if account == "" {
		account = "key-" + c.report.Lane.KeyFingerprint
	}
	return account, nil
}

func focusDescription(c charge) string {
	return fmt.Sprintf("%s %s in %s: %s s at %s %s", c.report.Model, c.attempt.Mode, c.job.Lane,
		c.attempt.Seconds.Decimal, c.unitPrice(), c.report.Currency)
}

func focusTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// focusRegion is the provider's id and name of a region.
func focusRegion(lane string) [2]string {
	switch lane {
	case "beijing":
		return [2]string{"cn-beijing", "China (Beijing)"}
	case "singapore":
		return [2]string{"ap-southeast-1", "Singapore"}
	}
	return [2]string{lane, lane} // unreachable: there are no prices for others
}

// keyValues is FOCUS's Key-Value Format, "" for null. What a spreadsheet might run
// is written as JSON escapes, which mean the same.
func keyValues(pairs map[string]string) (string, error) {
	if len(pairs) == 0 {
		return "", nil
	}
	text, err := json.Marshal(pairs)
	if err != nil {
		return "", err
	}
	return guarded(string(text), func(b *strings.Builder, sign rune) { fmt.Fprintf(b, `\u%04x`, sign) }), nil
}
