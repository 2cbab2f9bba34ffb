// OTTL, the transformation language of the OpenTelemetry collector, and its redaction processor, without receivers and
// exporters: `ottl FOLDER EVENTS`. One purpose, no consent, a hash without a key: OTTL has no look-up and no keyed hash.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
)

func busyNanos() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(0, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	folder := os.Args[1]
	settings := componenttest.NewNopTelemetrySettings()
	statements := strings.Split(strings.TrimSpace(string(must(os.ReadFile(folder+"/statements.txt")))), "\n")
	functions := ottlfuncs.StandardFuncs[*ottllog.TransformContext]()
	parser := must(ottllog.NewParser(functions, settings, ottllog.EnablePathContextNames()))
	sequence := ottl.NewStatementSequence(must(parser.ParseStatements(statements)), settings, ottl.WithStatementSequenceErrorMode[*ottllog.TransformContext](ottl.SilentError))

	allowed := []any{}
	for _, key := range strings.Fields(string(must(os.ReadFile(folder + "/allowed.txt")))) {
		allowed = append(allowed, key)
	}
	factory := redactionprocessor.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"allowed_keys": allowed}).Unmarshal(config); err != nil {
		panic(err)
	}
	var rows, cells int
	count := func(_ context.Context, logs plog.Logs) error {
		records := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
		for at := range records.Len() {
			if found := records.At(at).Attributes().Len(); found > 0 {
				rows++
				cells += found
			}
		}
		return nil
	}
	sink := must(consumer.NewLogs(count))
	own := processor.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: settings}
	redaction := must(factory.CreateLogs(context.Background(), own, config, sink))

	lines := bytes.Split(bytes.TrimSpace(must(os.ReadFile(os.Args[2]))), []byte("\n"))
	var nanos int64
	ctx := context.Background()
	for at := 0; at < len(lines); at += 1000 {
		start := busyNanos()
		logs := plog.NewLogs()
		resource := logs.ResourceLogs().AppendEmpty()
		scope := resource.ScopeLogs().AppendEmpty()
		for _, line := range lines[at:min(at+1000, len(lines))] {
			scope.LogRecords().AppendEmpty().Body().SetStr(string(line))
		}
		for record := range scope.LogRecords().Len() {
			transform := ottllog.NewTransformContext(resource, scope, scope.LogRecords().At(record))
			_ = sequence.Execute(ctx, transform)
			transform.Close()
		}
		if err := redaction.ConsumeLogs(ctx, logs); err != nil {
			panic(err)
		}
		nanos += busyNanos() - start
	}
	fmt.Printf("nanos %d rows %d 0 0 cells %d 0 0\n", nanos, rows, cells)
}
