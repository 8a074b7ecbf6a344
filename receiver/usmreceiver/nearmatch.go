package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"fmt"
	"strings"
)

// Longer words are no misspelt keys.
const maxNearMatchCharacters = 64

func withNearMatch(text, word string, allowed []string) string {
	if near := nearMatch(word, allowed); near != "" {
		return fmt.Sprintf(`%s (did you mean "%s"?)`, text, near)
	}
	return text
}

// nearMatch is the closest of allowed, the first of several, within a third of the word's length (at least 1, at most 3 edits).
func nearMatch(word string, allowed []string) string {
	folded := fold(word)
	if len(folded) > maxNearMatchCharacters {
		return ""
	}
	best, bestDistance := "", min(3, max(1, len(folded)/3))+1
	for _, candidate := range allowed {
		if distance := editDistance(folded, fold(candidate)); distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// fold takes away the difference between upper and lower case of ASCII, and between `-` and `_`.
func fold(word string) []rune {
	return []rune(strings.Map(func(character rune) rune {
		switch {
		case character >= 'A' && character <= 'Z':
			return character - 'A' + 'a'
		case character == '-':
			return '_'
		default:
			return character
		}
	}, word))
}

// editDistance is the optimal string alignment distance, where a swap of two neighbours counts once.
func editDistance(a, b []rune) int {
	var beforeLast []int
	last := make([]int, len(b)+1)
	for at := range last {
		last[at] = at
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitution := last[j-1]
			if a[i-1] != b[j-1] {
				substitution++
			}
			row[j] = min(substitution, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], beforeLast[j-2]+1)
			}
		}
		beforeLast, last = last, row
	}
	return last[len(b)]
}
