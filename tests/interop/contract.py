"""The wire contract, written down a second time, so that a slip in `proto/` cannot hide behind itself."""

import flame_on_pb2
import profile_pb2
from google.protobuf.descriptor import FieldDescriptor

SERVICES = {
    "FlameOnIngest": ("Ingest", "flame_on.IngestRequest", "flame_on.IngestResponse"),
    "FlameOnErrorIngest": ("IngestErrors", "flame_on.IngestErrorsRequest", "flame_on.IngestErrorsResponse"),
}

# A field is `number name type`; `*` means repeated, a type in capitals is a message.
MESSAGES = {
    flame_on_pb2: {
        "IngestRequest": "1 traces *TraceProfile",
        "TraceProfile": "1 trace_id string, 3 event_name string, 4 event_identifier string, 5 profile Profile",
        "IngestResponse": "1 success bool, 2 ingested int32, 3 message string",
        "IngestErrorsRequest": "1 events *ErrorEvent",
        "IngestErrorsResponse": "1 success bool, 2 ingested int32, 3 warnings *string",
        "ErrorEvent": "1 event_id string, 2 occurred_at Timestamp, 3 platform string, 4 environment string, "
        "5 service string, 6 route string, 7 release string, 8 severity string, 9 message string, 10 handled bool, "
        "11 trace_id string, 12 span_id string, 13 fingerprint *string, 14 exceptions *Exception, "
        "15 request RequestContext, 16 user UserContext, 17 breadcrumbs *Breadcrumb, 18 tags *KeyValue, "
        "19 contexts *KeyValue",
        "Exception": "1 type string, 2 value string, 3 stack_trace StackTrace",
        "StackTrace": "1 frames *StackFrame",
        "StackFrame": "1 function string, 2 module string, 3 file string, 4 line uint32, 5 column uint32, "
        "6 in_app bool, 7 abs_path string, 8 context_line string, 9 pre_context *string, 10 post_context *string",
        "RequestContext": "1 method string, 2 url string, 3 route string, 4 headers *KeyValue, 5 remote_addr string",
        "UserContext": "1 id string, 2 email string, 3 username string, 4 ip_address string",
        "Breadcrumb": "1 timestamp Timestamp, 2 category string, 3 message string, 4 type string, 5 level string, "
        "6 data *KeyValue",
        "KeyValue": "1 key string, 2 value string",
    },
    profile_pb2: {
        "Profile": "1 sample_type *ValueType, 2 sample *Sample, 3 mapping *Mapping, 4 location *Location, "
        "5 function *Function, 6 string_table *string, 7 drop_frames int64, 8 keep_frames int64, 9 time_nanos int64, "
        "10 duration_nanos int64, 11 period_type ValueType, 12 period int64, 13 comment *int64, "
        "14 default_sample_type int64",
        "ValueType": "1 type int64, 2 unit int64",
        "Sample": "1 location_id *uint64, 2 value *int64, 3 label *Label",
        "Label": "1 key int64, 2 str int64, 3 num int64, 4 num_unit int64",
        "Mapping": "1 id uint64, 2 memory_start uint64, 3 memory_limit uint64, 4 file_offset uint64, "
        "5 filename int64, 6 build_id int64, 7 has_functions bool, 8 has_filenames bool, 9 has_line_numbers bool, "
        "10 has_inline_frames bool",
        "Location": "1 id uint64, 2 mapping_id uint64, 3 address uint64, 4 line *Line, 5 is_folded bool",
        "Line": "1 function_id uint64, 2 line int64",
        "Function": "1 id uint64, 2 name int64, 3 system_name int64, 4 filename int64, 5 start_line int64",
    },
}

SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def described(descriptor) -> str:
    """A message of `proto/` in the notation above."""

    def one(field) -> str:
        type_ = field.message_type.name if field.message_type else SCALARS[field.type]
        return f"{field.number} {field.name} {'*' if field.is_repeated else ''}{type_}"

    return ", ".join(one(field) for field in sorted(descriptor.fields, key=lambda field: field.number))
