package vm

import "strings"

// checkNumerals finds the first number in source that is none, as in 1.5.."": a
// number goes on as long as it can, as in any Lua. The VM's parser stops earlier and
// reads two tokens.
func checkNumerals(source, name string) error {
	for at := 0; at < len(source); {
		c := source[at]
		if !isDigit(c) && !(c == '.' && at+1 < len(source) && isDigit(source[at+1])) {
			end, _ := token(source, at)
			if strings.HasPrefix(source[at:end], "..") { // of x..5 the number is 5
				end = at + len("..")
			}
			at = end
			continue
		}
		end := numeral(source, at)
		if _, ok := ParseNumber(source[at:end]); !ok {
			return &SyntaxError{
				Name: name, Line: 1 + strings.Count(source[:at], "\n"),
				Text: "malformed number near '" + source[at:end] + "'",
			}
		}
		at = end
	}
	return nil
}

// numeral returns where the number ends that begins at a place: it has letters,
// digits and points, and a sign after the letter of an exponent.
func numeral(source string, at int) int {
	exponent := byte('e')
	if strings.HasPrefix(source[at:], "0x") || strings.HasPrefix(source[at:], "0X") {
		exponent = 'p'
	}
	end := at
	for end < len(source) {
		c := source[end]
		sign := (c == '+' || c == '-') && end > at && source[end-1]|0x20 == exponent
		if !isWordByte(c) && c != '.' && !sign {
			break
		}
		end++
	}
	return end
}
