package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The forms that a text of the block may have to have (receiver/config/formats.ts), by their names in the schema.

// The kernel's limit (unix(7)) without the final 0.
const maxSocketPathBytes = 107

var (
	modeForm     = regexp.MustCompile(`\A0?[0-7]{3}\z`)
	portForm     = regexp.MustCompile(`\A([0-9]{1,5})(?:-([0-9]{1,5}))?\z`)
	prefixForm   = regexp.MustCompile(`\A([^/]+)(?:/(0|[1-9][0-9]{0,2}))?\z`)
	sizeForm     = regexp.MustCompile(`\A([0-9]{1,15})(B|KiB|MiB|GiB)?\z`)
	durationPart = regexp.MustCompile(`\A([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`)
)

func hasForm(value any, format string) bool {
	if number, ok := value.(float64); ok {
		switch format {
		case "byte-size":
			return !math.IsNaN(sizeOf(number))
		case "port-range":
			return isPortRange(textOfNumber(number))
		default:
			return false
		}
	}
	text, ok := value.(string)
	if !ok {
		return false
	}
	switch format {
	case "absolute-path":
		return isAbsolutePath(text)
	case "byte-size":
		return !math.IsNaN(sizeOf(text))
	case "cgroup-path":
		return isCgroupPath(text)
	case "cidr":
		return isCIDR(text)
	case "go-duration":
		return !math.IsNaN(milliseconds(text))
	case "octal-mode":
		return modeForm.MatchString(text)
	case "port-range":
		return isPortRange(text)
	case "socket-path":
		return isAbsolutePath(text) && len(text) <= maxSocketPathBytes
	default:
		return false
	}
}

func isAbsolutePath(path string) bool {
	inner, ok := strings.CutPrefix(path, "/")
	return ok && !hasOddPart(inner)
}

func isCgroupPath(path string) bool {
	inner := strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	return inner != "" && !hasOddPart(inner) && !strings.HasPrefix(inner, "sys/fs/cgroup")
}

func hasOddPart(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return true
		}
	}
	return strings.ContainsRune(path, 0)
}

func isPortRange(text string) bool {
	match := portForm.FindStringSubmatch(text)
	if match == nil {
		return false
	}
	first, _ := strconv.Atoi(match[1])
	last := first
	if match[2] != "" {
		last, _ = strconv.Atoi(match[2])
	}
	return first >= 1 && first <= last && last <= math.MaxUint16
}

func isCIDR(text string) bool {
	match := prefixForm.FindStringSubmatch(text)
	if match == nil {
		return false
	}
	address, err := netip.ParseAddr(match[1])
	if err != nil || address.Zone() != "" {
		return false
	}
	length, err := strconv.Atoi(match[2])
	return match[2] == "" || err == nil && length <= address.BitLen()
}

// measureOf is milliseconds of a duration, or bytes of a size; NaN of anything else.
func measureOf(value any, s *schema) float64 {
	if s.Format == "go-duration" {
		text, _ := value.(string)
		return milliseconds(text)
	}
	return sizeOf(value)
}

var unitMilliseconds = map[string]float64{"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1, "s": 1e3, "m": 60e3, "h": 3600e3}

func milliseconds(text string) float64 {
	if text == "0" {
		return 0
	}
	total := 0.0
	for rest := text; rest != ""; {
		match := durationPart.FindStringSubmatch(rest)
		if match == nil {
			return math.NaN()
		}
		number, _ := strconv.ParseFloat(match[1], 64)
		total += number * unitMilliseconds[match[2]]
		rest = rest[len(match[0]):]
	}
	// An int64 of nanoseconds ends at 292 years.
	if text == "" || total > 9.2e15/1e3 {
		return math.NaN()
	}
	return total
}

var unitBytes = map[string]float64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// Beyond it, integers are not exact as doubles.
const maxSafeInteger = 1<<53 - 1

func sizeOf(value any) float64 {
	bytes := math.NaN()
	switch value := value.(type) {
	case float64:
		bytes = value
	case string:
		if match := sizeForm.FindStringSubmatch(value); match != nil {
			number, _ := strconv.ParseFloat(match[1], 64)
			bytes = number * unitBytes[match[2]]
		}
	}
	if math.Trunc(bytes) == bytes && bytes >= 0 && bytes <= maxSafeInteger {
		return bytes
	}
	return math.NaN()
}
