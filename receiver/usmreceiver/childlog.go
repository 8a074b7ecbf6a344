//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Of a longer line the beginning is logged: the child must never wait because nobody reads.
const maxLogLineBytes = 64 * 1024

// How much of a line is repeated in a status.
const maxComplaintBytes = 512

// childLog turns lines of the child's standard error into records of the Collector's log.
type childLog struct {
	logger *zap.Logger

	mu        sync.Mutex
	complaint string
}

func newChildLog(logger *zap.Logger) *childLog {
	// Where in this component a line was copied is of no interest.
	return &childLog{logger: logger.WithOptions(zap.WithCaller(false), zap.AddStacktrace(zapcore.InvalidLevel))}
}

// copyFrom returns at the end of the reader.
func (l *childLog) copyFrom(reader io.Reader) {
	lines := bufio.NewReaderSize(reader, maxLogLineBytes)
	isRest := false
	for {
		line, err := lines.ReadSlice('\n')
		if !isRest {
			l.log(bytes.TrimRight(line, "\r\n"), errors.Is(err, bufio.ErrBufferFull))
		}
		isRest = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !isRest {
			return
		}
	}
}

// log writes one record: `{"level":…,"ts":…,"msg":…, fields}` as such, anything else (a crash of Node.js) as an error.
func (l *childLog) log(line []byte, isCut bool) {
	if len(line) == 0 {
		return
	}
	level, message, fields := zapcore.ErrorLevel, string(line), []zap.Field(nil)
	var record map[string]any
	if !isCut && json.Unmarshal(line, &record) == nil && record["msg"] != nil {
		level, message, fields = levelNamed(record["level"]), textOf(record["msg"]), fieldsOf(record)
	}
	if isCut {
		fields = append(fields, zap.Bool("truncated", true))
	}
	if level >= zapcore.ErrorLevel {
		l.complain(message)
	}
	l.logger.Log(level, message, fields...)
}

func levelNamed(name any) zapcore.Level {
	level, err := zapcore.ParseLevel(textOf(name))
	// Beyond error are levels that would end the Collector.
	if err != nil || level > zapcore.ErrorLevel {
		return zapcore.ErrorLevel
	}
	return level
}

func textOf(value any) string {
	text, _ := value.(string)
	return text
}

// fieldsOf leaves out what the Collector's own record says.
func fieldsOf(record map[string]any) []zap.Field {
	fields := make([]zap.Field, 0, len(record))
	for key, value := range record {
		if key != "level" && key != "ts" && key != "msg" {
			fields = append(fields, zap.Any(key, value))
		}
	}
	slices.SortFunc(fields, func(a, b zap.Field) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	return fields
}

func (l *childLog) complain(message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complaint = message[:min(len(message), maxComplaintBytes)]
}

// lastComplaint is the last error that the child has logged.
func (l *childLog) lastComplaint() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complaint
}
