package natsd

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// A logger passes on what the server logs.
type logger struct{ log *slog.Logger }

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Warn(fmt.Sprintf(format, v...)) }

func (l *logger) Fatalf(format string, v ...any) {
	if text := fmt.Sprintf(format, v...); !strings.Contains(text, strconv.Itoa(noPort)) {
		l.log.Error(text)
	}
}

func (l *logger) Debugf(format string, v ...any) {}
func (l *logger) Tracef(format string, v ...any) {}
