package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"fmt"
	"reflect"
	"strconv"

	"go.opentelemetry.io/collector/confmap"
)

// blockOf is the block as it was written, in the kinds that encoding/json makes. What a reference such as ${env:MODE} stood for is the
// text that it was where the schema wants a text (0660 and not 432), and what YAML makes of it anywhere else, as in any component.
func blockOf(conf *confmap.Conf) map[string]any {
	written := textReader{conf}
	block, _ := written.plain(conf.ToStringMap(), rootSchema(), nil).(map[string]any)
	if block == nil {
		return map[string]any{}
	}
	return block
}

type textReader struct {
	conf *confmap.Conf
}

// plain: the schema may be nil, for keys that there should not be.
func (r textReader) plain(value any, s *schema, path []any) any {
	if s == nil {
		s = &schema{}
	}
	if s.Type == "string" {
		if _, isText := value.(string); !isText {
			if text, ok := r.textAt(path); ok {
				return text
			}
		}
	}
	switch value := value.(type) {
	case map[string]any:
		if value == nil {
			return nil
		}
		object := map[string]any{}
		for key, item := range value {
			object[key] = r.plain(item, s.Properties[key], append(path[:len(path):len(path)], key))
		}
		return object
	case []any:
		list := make([]any, len(value))
		for at, item := range value {
			list[at] = r.plain(item, s.Items, append(path[:len(path):len(path)], at))
		}
		return list
	case nil, bool, string, float64:
		return value
	}
	switch number := reflect.ValueOf(value); {
	case number.CanInt():
		return float64(number.Int())
	case number.CanUint():
		return float64(number.Uint())
	case number.CanFloat():
		return number.Float()
	default:
		return fmt.Sprint(value)
	}
}

// textAt returns the text that the value at the path was, if it was one. confmap tells it only to a field of type string: so the path is
// made into a type with one, and what is decoded into it is looked at. A value that was written as a number does not fit into it, and
// leaves it empty.
func (r textReader) textAt(path []any) (string, bool) {
	target := reflect.TypeFor[string]()
	for at := len(path) - 1; at >= 0; at-- {
		switch step := path[at].(type) {
		case string:
			target = reflect.StructOf([]reflect.StructField{{
				Name: "Field", Type: target, Tag: reflect.StructTag(confmap.MapstructureTag + ":" + strconv.Quote(step)),
			}})
		case int:
			target = reflect.SliceOf(target)
		}
	}
	result := reflect.New(target)
	// What else does not fit, in the same list, is for those that are asked about it.
	_ = r.conf.Unmarshal(result.Interface(), confmap.WithIgnoreUnused())
	value := result.Elem()
	for _, step := range path {
		at, isIndex := step.(int)
		switch {
		case !isIndex:
			value = value.Field(0)
		case at < value.Len():
			value = value.Index(at)
		default:
			return "", false
		}
	}
	// A null fits into it too, and cannot be told from a reference to nothing: both are absent.
	return value.String(), value.String() != ""
}
