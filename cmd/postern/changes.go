package main

import (
	"fmt"
	"reflect"
	"strings"

	"postern/cmd/postern/config"
)

// changes says what differs between two configurations: the keys, and of a list how many
// entries it has. No value is said, for it may be a secret.
func changes(old, now *config.Config) []string {
	var words []string
	differ("", reflect.ValueOf(*old), reflect.ValueOf(*now), &words)
	return words
}

// differ walks two values of one type.
func differ(key string, old, now reflect.Value, words *[]string) {
	if reflect.DeepEqual(old.Interface(), now.Interface()) {
		return
	}
	switch old.Kind() {
	case reflect.Struct:
		before := len(*words)
		for i := range old.NumField() {
			f := old.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			differ(strings.TrimPrefix(key+"."+name, "."), old.Field(i), now.Field(i), words)
		}
		if len(*words) > before {
			return
		}
	case reflect.Slice:
		if old.Len() != now.Len() {
			*words = append(*words, fmt.Sprintf("%s: %d, were %d", strings.TrimSuffix(key, "."), now.Len(), old.Len()))
			return
		}
	}
	if key != "" {
		*words = append(*words, strings.TrimSuffix(key, ".")+" changed")
	}
}
