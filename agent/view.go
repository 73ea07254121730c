package agent

import "unsafe"

// view is b as a string without a copy. The rules compare strings, and copying a dozen
// of them for each request would cost more than the rest of the decision. The string is
// valid as long as b is unchanged: until Notify returns. What lives longer is made by
// question.clone.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
