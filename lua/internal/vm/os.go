package vm

import (
	"fmt"
	"math"
	"strings"
	"time"

	golua "github.com/Shopify/go-lua"
)

var osLibrary = library{{"time", osTime}, {"date", osDate}, {"clock", osClock},
	{"difftime", osDifftime}, {"getenv", osGetenv}}

// osClock is the time of the run so far, in seconds.
func osClock(s *State, l *golua.State) int {
	l.PushNumber(time.Since(s.run.started).Seconds())
	return 1
}

// osGetenv finds nothing: the environment is the host's.
func osGetenv(s *State, l *golua.State) int {
	s.checkString(l, 1)
	l.PushNil()
	return 1
}

func osDifftime(s *State, l *golua.State) int {
	l.PushNumber(s.checkNumber(l, 1) - s.optNumber(l, 2, 0))
	return 1
}

func osTime(s *State, l *golua.State) int {
	if missing(l, 1) {
		l.PushNumber(float64(time.Now().Unix()))
		return 1
	}
	s.checkTable(l, 1)
	field := func(name string, def int) int {
		l.PushString(name)
		l.RawGet(1)
		v, ok := num(l, l.Top())
		l.Pop(1)
		if ok {
			return int(max(math.MinInt32, min(v, math.MaxInt32)))
		}
		if def < 0 {
			s.errorf("field '%s' missing in date table", name)
		}
		return def
	}
	day, month, year := field("day", -1), field("month", -1), field("year", -1)
	t := time.Date(year, time.Month(month), day, field("hour", 12), field("min", 0), field("sec", 0),
		0, time.Local)
	l.PushString("isdst")
	l.RawGet(1)
	seconds := t.Unix()
	// the clock shows an hour that it does not have now
	if !l.IsNil(-1) && l.ToBoolean(-1) != t.IsDST() {
		if seconds += 3600; l.ToBoolean(-1) {
			seconds -= 7200
		}
	}
	l.PushNumber(float64(seconds))
	return 1
}

func osDate(s *State, l *golua.State) int {
	format := s.optString(l, 1, "%c")
	t := time.Now()
	if !missing(l, 2) {
		sec := math.Floor(s.checkNumber(l, 2))
		if math.IsNaN(sec) || math.Abs(sec) > 1<<45 {
			s.argError(2, "time out of range")
		}
		t = time.Unix(int64(sec), 0)
	}
	if rest, ok := strings.CutPrefix(format, "!"); ok {
		format, t = rest, t.UTC()
	}
	if strings.HasPrefix(format, "*t") {
		s.pushDate(l, t)
		return 1
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		start := i
		// another way to write it, which this locale has not
		if i++; (format[i] == 'E' || format[i] == 'O') && i+1 < len(format) {
			i++
		}
		part, ok := strftime(t, format[i])
		if !ok {
			part = format[start : i+1] // as it is, as in C
		}
		b.WriteString(part)
		s.step(8)
		if b.Len() > s.cfg.Limits.String {
			break
		}
	}
	s.room(b.Len())
	l.PushString(b.String())
	return 1
}

func (s *State) pushDate(l *golua.State, t time.Time) {
	l.CreateTable(0, 9)
	for _, f := range []struct {
		name  string
		value int
	}{
		{"year", t.Year()}, {"month", int(t.Month())}, {"day", t.Day()}, {"hour", t.Hour()},
		{"min", t.Minute()},
		{"sec", t.Second()}, {"wday", int(t.Weekday()) + 1}, {"yday", t.YearDay()},
	} {
		l.PushInteger(f.value)
		l.SetField(-2, f.name)
	}
	l.PushBoolean(t.IsDST())
	l.SetField(-2, "isdst")
}

// layouts are the conversions of C's strftime, in its own locale, that Go's time
// has a layout for.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan",
	'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06", 'e': "_2", 'F': "2006-01-02",
	'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'r': "03:04:05 PM",
	'R': "15:04", 'S': "05", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006",
	'z': "-0700",
}

func strftime(t time.Time, c byte) (string, bool) {
	if layout, ok := layouts[c]; ok {
		return t.Format(layout), true
	}
	sunday := int(t.Weekday())
	switch c {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", (t.Hour()+11)%12+1), true
	case 'P':
		return strings.ToLower(t.Format("PM")), true
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100), true
	case 's':
		return fmt.Sprint(t.Unix()), true
	case 'u':
		return fmt.Sprint((sunday+6)%7 + 1), true
	case 'w':
		return fmt.Sprint(sunday), true
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-sunday)/7), true
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(sunday+6)%7)/7), true
	case 'V', 'G', 'g':
		year, week := t.ISOWeek()
		return map[byte]string{'V': fmt.Sprintf("%02d", week), 'G': fmt.Sprint(year),
			'g': fmt.Sprintf("%02d", year%100)}[c], true
	case 'Z':
		if t.Location() == time.UTC {
			return "GMT", true
		}
		name, _ := t.Zone()
		return name, true
	}
	return "", false
}
