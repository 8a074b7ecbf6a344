//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const dataFormat = "protobuf"

// tracesService takes spans. next is nil where no pipeline of traces has the receiver.
type tracesService struct {
	ptraceotlp.UnimplementedGRPCServer
	next      consumer.Traces
	obsreport *receiverhelper.ObsReport
	telemetry *telemetry
}

func (s *tracesService) Export(ctx context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	traces := request.Traces()
	count := traces.SpanCount()
	if count == 0 {
		return ptraceotlp.NewExportResponse(), nil
	}
	if s.next == nil {
		s.telemetry.refused(ctx, reasonNoPipeline)
		return ptraceotlp.NewExportResponse(), errNoPipeline("traces")
	}
	ctx = s.obsreport.StartTracesOp(ctx)
	err := s.next.ConsumeTraces(ctx, traces)
	s.obsreport.EndTracesOp(ctx, dataFormat, count, err)
	return ptraceotlp.NewExportResponse(), toStatus(err)
}

// metricsService takes data points. next is nil where no pipeline of metrics has the receiver.
type metricsService struct {
	pmetricotlp.UnimplementedGRPCServer
	next      consumer.Metrics
	obsreport *receiverhelper.ObsReport
	telemetry *telemetry
}

func (s *metricsService) Export(ctx context.Context, request pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	metrics := request.Metrics()
	count := metrics.DataPointCount()
	if count == 0 {
		return pmetricotlp.NewExportResponse(), nil
	}
	if s.next == nil {
		s.telemetry.refused(ctx, reasonNoPipeline)
		return pmetricotlp.NewExportResponse(), errNoPipeline("metrics")
	}
	ctx = s.obsreport.StartMetricsOp(ctx)
	err := s.next.ConsumeMetrics(ctx, metrics)
	s.obsreport.EndMetricsOp(ctx, dataFormat, count, err)
	return pmetricotlp.NewExportResponse(), toStatus(err)
}

// errNoPipeline is one that is retried: whoever mends the configuration finds everything in the queue of usm-receiver.
func errNoPipeline(signal string) error {
	return status.Errorf(codes.Unavailable,
		"no %[1]s pipeline of this Collector has the receiver: add it to one, or take it out of the %[1]s pipelines in the file that usm-receiver reads", signal)
}

// toStatus says by the code whether to send again, as the otlp receiver does: https://opentelemetry.io/docs/specs/otlp/#failures.
// What comes from downstream with a code of its own (an exporter's) keeps it.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	if consumererror.IsPermanent(err) {
		return status.Error(codes.Internal, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}
