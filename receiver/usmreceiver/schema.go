package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The block `usm` is checked here by the schema that usm-receiver checks it by, with the same messages: schema.json is generated from its
// sources, and testdata/validation.json is what both are held against. What each keyword means: scripts/generate-collector-schema.ts.
//
//go:embed schema.json
var schemaText []byte

// schema is the subset of JSON Schema that is used, with keywords of usm-receiver's own.
type schema struct {
	Type          any                `json:"type"`
	Enum          []any              `json:"enum"`
	Format        string             `json:"format"`
	Range         []string           `json:"range"`
	PowerOfTwo    bool               `json:"powerOfTwo"`
	Needs         string             `json:"needs"`
	NotLessThan   string             `json:"notLessThan"`
	Properties    map[string]*schema `json:"properties"`
	Items         *schema            `json:"items"`
	Required      []string           `json:"required"`
	MinProperties *int               `json:"minProperties"`
	MinItems      *int               `json:"minItems"`
	MaxItems      *int               `json:"maxItems"`
	Minimum       *float64           `json:"minimum"`
	Maximum       *float64           `json:"maximum"`
	MinLength     *int               `json:"minLength"`
	WriteOnly     bool               `json:"writeOnly"`
	Default       json.RawMessage    `json:"default"`
	// Formats is at the top only: what a value of each form is called.
	Formats map[string]string `json:"formats"`
}

var rootSchema = sync.OnceValue(func() *schema {
	var root schema
	if err := json.Unmarshal(schemaText, &root); err != nil {
		panic(fmt.Sprintf("schema.json: %v", err)) // it is a part of the program
	}
	return &root
})

// check returns the block with defaults filled in, and what is wrong with it, in the order in which usm-receiver would say it; paths begin at
// the block. Values are of the kinds that encoding/json makes.
func check(block map[string]any) (map[string]any, []string) {
	root := rootSchema()
	c := checker{formats: root.Formats}
	value := c.walk(block, root, "")
	// What two keys say together matters when each is good by itself.
	if len(c.problems) == 0 {
		for _, one := range c.related {
			c.checkRelated(one, value)
		}
	}
	complete, _ := value.(map[string]any)
	return complete, c.problems
}

type checker struct {
	formats  map[string]string
	problems []string
	related  []related
}

// related is a value that is judged by that of another key.
type related struct {
	path   string
	schema *schema
	value  any
}

func (c *checker) report(path, format string, arguments ...any) {
	c.problems = append(c.problems, path+": "+fmt.Sprintf(format, arguments...))
}

// walk returns the value with defaults filled in; nil when it is absent or wrong.
func (c *checker) walk(value any, s *schema, path string) any {
	var result any
	if value == nil {
		result = c.defaultOf(s, path)
	} else {
		switch s.Type {
		case "object":
			result = c.walkObject(value, s, path)
		case "array":
			result = c.walkArray(value, s, path)
		default:
			result = c.walkScalar(value, s, path)
		}
	}
	if (s.Needs != "" || s.NotLessThan != "") && result != nil {
		c.related = append(c.related, related{path, s, result})
	}
	return result
}

func (c *checker) defaultOf(s *schema, path string) any {
	if s.Default == nil {
		return nil
	}
	if s.Type == "object" {
		return c.walkObject(map[string]any{}, s, path)
	}
	var value any
	_ = json.Unmarshal(s.Default, &value) // a part of a text that was parsed
	return value
}

func (c *checker) walkObject(value any, s *schema, path string) any {
	object, ok := value.(map[string]any)
	if !ok {
		c.reportType(value, "map", s, path)
		return nil
	}
	if s.Properties == nil {
		return object
	}
	keys := sortedKeys(s.Properties)
	c.reportInvalidKeys(object, keys, path)
	result := map[string]any{}
	for _, key := range keys {
		before := len(c.problems)
		item := c.walk(object[key], s.Properties[key], below(path, key))
		isAbsent := (item == nil || item == "") && len(c.problems) == before
		if isAbsent && slices.Contains(s.Required, key) {
			c.report(path, "requires a non-empty %q", key)
		}
		result[key] = item
	}
	if s.MinProperties != nil && isEmpty(object) {
		c.report(path, "must have at least one of [%s]", strings.Join(keys, " "))
	}
	return result
}

func isEmpty(object map[string]any) bool {
	for _, value := range object {
		if value != nil {
			return false
		}
	}
	return true
}

func (c *checker) reportInvalidKeys(object map[string]any, allowed []string, path string) {
	var invalid []string
	for _, key := range sortedKeys(object) {
		if !slices.Contains(allowed, key) {
			invalid = append(invalid, withNearMatch(quoteKey(key), key, allowed))
		}
	}
	if len(invalid) > 0 {
		c.problems = append(c.problems, fmt.Sprintf("'%s' has invalid keys: %s; valid keys are [%s]",
			path, strings.Join(invalid, ", "), strings.Join(allowed, " ")))
	}
}

func (c *checker) walkArray(value any, s *schema, path string) any {
	items := s.Items
	if items == nil {
		items = &schema{}
	}
	if text, ok := value.(string); ok && items.Type == "string" {
		value = splitList(text)
	}
	list, ok := value.([]any)
	if !ok {
		c.reportType(value, "list", s, path)
		return nil
	}
	result := make([]any, len(list))
	for at, item := range list {
		itemPath := below(path, strconv.Itoa(at))
		if item == nil {
			// A list has no defaults: what is null in it is a slip.
			c.reportType(nil, typeNameOf(items), items, itemPath)
			continue
		}
		result[at] = c.walk(item, items, itemPath)
	}
	if s.MinItems != nil && len(list) < *s.MinItems {
		c.report(path, "must not be empty; leave it out to set no condition or to use the default")
	}
	if s.MaxItems != nil && len(list) > *s.MaxItems {
		c.report(path, "must have at most %d entries, found %d", *s.MaxItems, len(list))
	}
	return result
}

// splitList: as in the Collector, a list of strings may be written with commas.
func splitList(text string) []any {
	if text == "" {
		return []any{}
	}
	var list []any
	for item := range strings.SplitSeq(text, ",") {
		list = append(list, strings.Trim(item, " \t"))
	}
	return list
}

func (c *checker) walkScalar(value any, s *schema, path string) any {
	if s.Format == "go-duration" {
		return c.walkDuration(value, s, path)
	}
	if !hasType(value, s) {
		c.reportType(value, typeNameOf(s), s, path)
		return nil
	}
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		c.reportChoice(value, s.Enum, path)
		return nil
	}
	if s.MinLength != nil && value == "" {
		c.report(path, "must not be empty")
		return nil
	}
	if s.Format != "" && !hasForm(value, s.Format) {
		c.report(path, "expected %s, found %s", c.formats[s.Format], quote(value, s))
		return nil
	}
	if s.Range != nil {
		return c.walkRange(value, s, path)
	}
	if number, ok := value.(float64); ok {
		return c.walkNumber(number, s, path)
	}
	return value
}

func (c *checker) walkNumber(value float64, s *schema, path string) any {
	isLow := s.Minimum != nil && value < *s.Minimum
	isHigh := s.Maximum != nil && value > *s.Maximum
	switch {
	case !isLow && !isHigh:
		return value
	case s.Maximum == nil:
		c.report(path, "must be at least %s, found %s", textOfNumber(*s.Minimum), textOfNumber(value))
	default:
		least := math.Inf(-1)
		if s.Minimum != nil {
			least = *s.Minimum
		}
		c.report(path, "must be between %s and %s, found %s", textOfNumber(least), textOfNumber(*s.Maximum), textOfNumber(value))
	}
	return nil
}

func (c *checker) walkDuration(value any, s *schema, path string) any {
	if value == 0.0 {
		value = "0"
	}
	if hasForm(value, "go-duration") {
		return c.walkRange(value, s, path)
	}
	unit := ""
	if number, ok := value.(float64); ok {
		text := textOfNumber(number)
		unit = fmt.Sprintf(` without a unit (did you mean "%[1]ss" or "%[1]sms"?)`, text)
	}
	c.report(path, "expected %s, found %s%s", c.formats["go-duration"], quote(value, s), unit)
	return nil
}

// walkRange is about a duration or a size that has its form.
func (c *checker) walkRange(value any, s *schema, path string) any {
	if s.Range == nil {
		return value
	}
	least, greatest := s.Range[0], s.Range[1]
	number := measureOf(value, s)
	isInRange := number >= measureOf(least, s) && number <= measureOf(greatest, s)
	if isInRange && (!s.PowerOfTwo || math.Trunc(math.Log2(number)) == math.Log2(number)) {
		return value
	}
	form := "between"
	if s.PowerOfTwo {
		form = "a power of two between"
	}
	c.report(path, "must be %s %s and %s, found %s", form, least, greatest, textOfScalar(value))
	return nil
}

func (c *checker) checkRelated(one related, block any) {
	if needs := one.schema.Needs; needs != "" && valueAt(block, needs) != true {
		c.report(one.path, "needs %s: true", needs)
	}
	if other := one.schema.NotLessThan; other != "" {
		least := valueAt(block, other)
		if !(measureOf(one.value, one.schema) >= measureOf(least, one.schema)) {
			c.report(one.path, "must not be less than %s (%s), found %s", other, textOfScalar(least), textOfScalar(one.value))
		}
	}
}

func valueAt(block any, path string) any {
	for key := range strings.SplitSeq(path, "::") {
		object, _ := block.(map[string]any)
		block = object[key]
	}
	return block
}

func (c *checker) reportChoice(value any, allowed []any, path string) {
	words := make([]string, len(allowed))
	for at, word := range allowed {
		words[at] = textOfScalar(word)
	}
	message := fmt.Sprintf("must be one of [%s], found %s", strings.Join(words, " "), quote(value, &schema{}))
	c.report(path, "%s", withNearMatch(message, textOfScalar(value), words))
}

func (c *checker) reportType(value any, expected string, s *schema, path string) {
	shown, hint := "", ""
	switch value.(type) {
	case string, float64, bool:
		if !s.WriteOnly {
			shown = ", value: " + quote(value, s)
		}
	}
	switch value.(type) {
	case float64, bool:
		if expected == "string" && !s.WriteOnly {
			hint = fmt.Sprintf(`; write it in quotes: "%s"`, textOfScalar(value))
		}
	}
	c.problems = append(c.problems,
		fmt.Sprintf("'%s' expected type '%s', got unconvertible type '%s'%s%s", path, expected, typeNameOfValue(value), shown, hint))
}

func hasType(value any, s *schema) bool {
	number, isNumber := value.(float64)
	_, isString := value.(string)
	_, isBool := value.(bool)
	isInteger := isNumber && math.Trunc(number) == number && !math.IsInf(number, 0)
	switch s.Type {
	case "string":
		return isString
	case "boolean":
		return isBool
	case "number":
		return isNumber && !math.IsInf(number, 0) && !math.IsNaN(number)
	case "integer":
		return isInteger
	default:
		return isString || isInteger
	}
}

func typeNameOf(s *schema) string {
	switch s.Type {
	case "object":
		return "map"
	case "array":
		return "list"
	case "string":
		return "string"
	case "boolean":
		return "bool"
	case "number":
		return "float64"
	case "integer":
		return "int"
	default:
		return "int or string"
	}
}

func typeNameOfValue(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case []any:
		return "list"
	case map[string]any:
		return "map"
	case float64:
		if math.Trunc(value) == value && !math.IsInf(value, 0) {
			return "int"
		}
		return "float64"
	case bool:
		return "bool"
	default:
		return "string"
	}
}

func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "::" + key
}

var bareKey = regexp.MustCompile(`\A[0-9A-Za-z_./-]{1,100}\z`)

// quoteKey: bare where that is clear, as the Collector prints keys.
func quoteKey(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return quoteText(clip(key))
}

func quote(value any, s *schema) string {
	if s.WriteOnly {
		return "[REDACTED]"
	}
	switch value := value.(type) {
	case string:
		return quoteText(clip(value))
	case float64, bool:
		return textOfScalar(value)
	default:
		return "a " + typeNameOfValue(value)
	}
}

const maxQuotedCharacters = 100

func clip(text string) string {
	if characters := []rune(text); len(characters) > maxQuotedCharacters {
		return string(characters[:maxQuotedCharacters]) + "…"
	}
	return text
}

var shortEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}

// quoteText is JSON.stringify, which leaves more as it is than encoding/json does.
func quoteText(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, character := range text {
		short, ok := shortEscapes[character]
		switch {
		case ok:
			quoted.WriteString(short)
		case character < ' ':
			fmt.Fprintf(&quoted, `\u%04x`, character)
		default:
			quoted.WriteRune(character)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

func textOfScalar(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case float64:
		return textOfNumber(value)
	case bool:
		return strconv.FormatBool(value)
	default:
		return ""
	}
}

// textOfNumber is as ECMAScript writes numbers, which is how encoding/json does.
func textOfNumber(number float64) string {
	switch {
	case math.IsNaN(number):
		return "NaN"
	case math.IsInf(number, 1):
		return "Infinity"
	case math.IsInf(number, -1):
		return "-Infinity"
	case number == 0:
		return "0"
	}
	text, _ := json.Marshal(number)
	return string(text)
}

func sortedKeys[Value any](object map[string]Value) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
