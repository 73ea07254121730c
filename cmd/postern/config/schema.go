package config

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of the configuration, for editors. It is generated
// from the same structs that the file is read into; a test holds the two together.
func Schema() []byte { return schema }
