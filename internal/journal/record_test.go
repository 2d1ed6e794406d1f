package journal

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// What a record leaves out, a later process does not know: every field of an event
// comes back.
func TestEveryFieldIsKept(t *testing.T) {
	e := batch.Event{}
	fill(reflect.ValueOf(&e).Elem())
	e.Kind = batch.Intended // the kind that has a hold
	payload, err := json.Marshal(Encode(e))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got); d != "" {
		t.Errorf("-event +as it is read back:\n%s", d)
	}
}

// fill gives every field below v a value that is not its zero.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 8, 0, 0, 5, time.UTC)))
		return
	case decimal.Decimal:
		v.Set(reflect.ValueOf(decimal.New(15, -1)))
		return
	case decimal.NullDecimal:
		v.Set(reflect.ValueOf(decimal.NewNullDecimal(decimal.New(25, -1))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("word")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"name": "word"}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic("no value for a " + v.Kind().String())
	}
}
