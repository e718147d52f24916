// A server of google.longrunning.Operations with the conformance driver, on grpc-go.
//
//	server PORT
//
// FAULT=wait-status plants a fault: WaitOperation answers DEADLINE_EXCEEDED when its timeout is over.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "reference/driverpb"
	lro "reference/longrunningpb"
	rpcstatus "reference/statuspb"
)

const maxWait = 30 * time.Second

var waitFails = os.Getenv("FAULT") == "wait-status"

// codec replaces the one of Debian's grpc-go, whose older protobuf cannot read current generated code.
type codec struct{}

func (codec) Name() string                        { return "proto" }
func (codec) Marshal(v interface{}) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }
func (codec) Unmarshal(data []byte, v interface{}) error {
	return proto.Unmarshal(data, v.(proto.Message))
}

type record struct {
	plan      *pb.StartRequest
	operation *lro.Operation
	cancel    chan struct{} // closed by the first CancelOperation
	cancelled bool
	changed   chan struct{} // closed when the operation is done or deleted
	closed    bool
	deleted   bool
	work      pb.ProbeResponse_Work
}

type server struct {
	lro.UnimplementedOperationsServer
	pb.UnimplementedDriverServer
	sync.Mutex
	records []*record // in the order of the starts
	byName  map[string]*record
	byID    map[string]*record
}

func pack(m proto.Message) *anypb.Any {
	any, err := anypb.New(m)
	if err != nil {
		log.Fatal(err)
	}
	return any
}

func copyOf(o *lro.Operation) *lro.Operation { return proto.Clone(o).(*lro.Operation) }

func (s *server) find(name string) (*record, error) {
	r := s.byName[name]
	if r == nil || r.deleted {
		return nil, status.Errorf(codes.NotFound, "operation %q does not exist", name)
	}
	return r, nil
}

func (r *record) wake() {
	if !r.closed {
		r.closed = true
		close(r.changed)
	}
}

func (s *server) run(r *record) {
	parts := time.Duration(r.plan.Reports + 1)
	for part := time.Duration(1); part <= parts; part++ {
		var timer <-chan time.Time
		if r.plan.RunsFor != nil {
			timer = time.After(r.plan.RunsFor.AsDuration() / parts)
		}
		cancel := r.cancel
		if r.plan.IgnoreCancel {
			cancel = nil
		}
		select {
		case <-cancel:
			s.finish(r, pb.ProbeResponse_WORK_STOPPED, &rpcstatus.Status{Code: int32(codes.Canceled), Message: "cancelled"})
			return
		case <-timer:
		}
		s.Lock()
		r.operation.Metadata = pack(&pb.Progress{Percent: int32(100 * part / parts)})
		s.Unlock()
	}
	s.finish(r, pb.ProbeResponse_WORK_ENDED, r.plan.GetError())
}

func (s *server) finish(r *record, work pb.ProbeResponse_Work, failure *rpcstatus.Status) {
	s.Lock()
	defer s.Unlock()
	r.work = work
	r.operation.Done = true
	if failure != nil {
		r.operation.Result = &lro.Operation_Error{Error: failure}
	} else {
		r.operation.Result = &lro.Operation_Response{Response: pack(&pb.Result{Text: r.plan.GetResult().GetText()})}
	}
	r.wake()
}

func (s *server) Start(_ context.Context, plan *pb.StartRequest) (*lro.Operation, error) {
	if plan.GetRefuse() {
		return nil, status.Error(codes.FailedPrecondition, "the plan asks for a refusal")
	}
	if plan.ValidateOnly {
		return &lro.Operation{Done: true, Result: &lro.Operation_Response{Response: pack(&pb.Result{})}}, nil
	}
	s.Lock()
	defer s.Unlock()
	if known := s.byID[plan.RequestId]; plan.RequestId != "" && known != nil {
		return copyOf(known.operation), nil
	}
	for _, r := range s.records {
		if plan.ExclusiveKey != "" && r.plan.ExclusiveKey == plan.ExclusiveKey && !r.operation.Done {
			return nil, status.Error(codes.Aborted, "another operation uses the resource")
		}
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	r := &record{
		plan:      plan,
		operation: &lro.Operation{Name: fmt.Sprintf("%s/operations/%x", plan.Parent, id), Metadata: pack(&pb.Progress{})},
		cancel:    make(chan struct{}),
		changed:   make(chan struct{}),
		work:      pb.ProbeResponse_WORK_RUNNING,
	}
	s.records = append(s.records, r)
	s.byName[r.operation.Name] = r
	s.byID[plan.RequestId] = r
	go s.run(r)
	return copyOf(r.operation), nil
}

func (s *server) Probe(_ context.Context, request *pb.ProbeRequest) (*pb.ProbeResponse, error) {
	s.Lock()
	defer s.Unlock()
	response := &pb.ProbeResponse{Begun: int64(len(s.records))}
	if r := s.byName[request.Name]; r != nil {
		response.Work = r.work
	}
	return response, nil
}

func (s *server) GetOperation(_ context.Context, request *lro.GetOperationRequest) (*lro.Operation, error) {
	s.Lock()
	defer s.Unlock()
	r, err := s.find(request.Name)
	if err != nil {
		return nil, err
	}
	return copyOf(r.operation), nil
}

func (s *server) ListOperations(_ context.Context, request *lro.ListOperationsRequest) (*lro.ListOperationsResponse, error) {
	switch {
	case request.ReturnPartialSuccess:
		return nil, status.Error(codes.Unimplemented, "partial success is not supported")
	case request.PageSize < 0:
		return nil, status.Error(codes.InvalidArgument, "page_size is negative")
	case request.Filter != "":
		return nil, status.Error(codes.InvalidArgument, "filters are not supported")
	}
	size := int(request.PageSize)
	if size == 0 {
		size = 50
	}
	after := ""
	if request.PageToken != "" {
		token, err := base64.RawURLEncoding.DecodeString(request.PageToken)
		parts := strings.Split(string(token), "\n")
		if err != nil || len(parts) != 2 || parts[0] != request.Name {
			return nil, status.Error(codes.InvalidArgument, "page_token is invalid")
		}
		after = parts[1]
	}
	s.Lock()
	defer s.Unlock()
	response := &lro.ListOperationsResponse{}
	isAfter := after == ""
	for _, r := range s.records {
		if isAfter && r.plan.Parent == request.Name && !r.deleted {
			if len(response.Operations) == size {
				last := response.Operations[size-1].Name
				response.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(request.Name + "\n" + last))
				break
			}
			response.Operations = append(response.Operations, copyOf(r.operation))
		}
		isAfter = isAfter || r.operation.Name == after
	}
	return response, nil
}

func (s *server) CancelOperation(_ context.Context, request *lro.CancelOperationRequest) (*emptypb.Empty, error) {
	s.Lock()
	defer s.Unlock()
	r, err := s.find(request.Name)
	if err != nil {
		return nil, err
	}
	if !r.cancelled {
		r.cancelled = true
		close(r.cancel)
	}
	return &emptypb.Empty{}, nil
}

func (s *server) DeleteOperation(_ context.Context, request *lro.DeleteOperationRequest) (*emptypb.Empty, error) {
	s.Lock()
	defer s.Unlock()
	r, err := s.find(request.Name)
	if err != nil {
		return nil, err
	}
	r.deleted = true
	r.wake()
	return &emptypb.Empty{}, nil
}

func (s *server) WaitOperation(ctx context.Context, request *lro.WaitOperationRequest) (*lro.Operation, error) {
	limit := maxWait
	if t := request.Timeout; t != nil && t.AsDuration() < limit {
		limit = t.AsDuration()
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline)*4/5 < limit {
		limit = time.Until(deadline) * 4 / 5
	}
	s.Lock()
	r, err := s.find(request.Name)
	s.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case <-r.changed:
	case <-ctx.Done():
	case <-time.After(limit):
		if waitFails {
			return nil, status.Error(codes.DeadlineExceeded, "the timeout is over")
		}
	}
	return s.GetOperation(ctx, &lro.GetOperationRequest{Name: request.Name})
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := &server{byName: map[string]*record{}, byID: map[string]*record{}}
	encoding.RegisterCodec(codec{})
	g := grpc.NewServer()
	lro.RegisterOperationsServer(g, s)
	pb.RegisterDriverServer(g, s)
	fmt.Println("ready")
	log.Fatal(g.Serve(listener))
}
