package redis

import (
	"fmt"
	"reflect"
)

// pack appends the arguments of a script: the fields of its struct in their order, which is that of the names in the Lua
// file (TestScriptArguments). Fields are exported only because reflection does not read others.
//
//   - text, bytes and numbers are one argument each
//   - a struct is its fields
//   - a slice is its length, then its items
//   - a pointer is what it points to; nil is nothing, so an argument before it must tell the script whether it follows
//
// Values are passed by address, which spares an allocation for each.
func pack(args []any, v reflect.Value) []any {
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Int64, reflect.Uint64:
		return append(args, v.Addr().Interface())
	case reflect.Struct:
		for i := range v.NumField() { //nolint:modernize // Fields describes each field, which costs on the hot path
			args = pack(args, v.Field(i))
		}
		return args
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append(args, v.Bytes())
		}
		args = append(args, v.Len())
		for i := range v.Len() {
			args = pack(args, v.Index(i))
		}
		return args
	case reflect.Pointer:
		if v.IsNil() {
			return args
		}
		return pack(args, v.Elem())
	}
	panic(fmt.Sprintf("a script's arguments have a %s", v.Type())) // TestScriptArguments packs each type
}

// idRef is where a shard keeps an event's ID: the slot's hash and the field in it.
type idRef struct{ IDSlot, IDField string }

func idRefOf(tenant, id string) idRef { return idRef{slotOf(id), fieldOf(tenant, id)} }

// tenantLevel is what a tenant may keep in a shard.
type tenantLevel struct {
	Tenant string // escaped
	Level  int64
}

type noArgs struct{}
