package connectortest

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/declared"
	"github.com/surveygate/surveygate/rules/expression"
)

// Bind decodes YAML over a connector's default settings and calls Validate. It is as strict as the gateway: an unknown, a
// repeated or a missing setting is an error. It exists beside the gateway's decoder, which reports the position of every fault,
// because packages under connectors must not import packages under gateway.
func Bind(text []byte, into connectors.Connector) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	if len(doc.Content) > 0 {
		if err := bindStruct(doc.Content[0], reflect.ValueOf(into).Elem(), ""); err != nil {
			return err
		}
	}
	if v, ok := into.(connectors.Validator); ok {
		return v.Validate()
	}
	return nil
}

func bindStruct(node *yaml.Node, into reflect.Value, path string) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%sa mapping is wanted", path)
	}
	values := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		name := node.Content[i].Value
		if values[name] != nil {
			return fmt.Errorf("%s%s is written twice", path, name)
		}
		values[name] = node.Content[i+1]
	}
	for _, setting := range declared.Settings(into.Type()) {
		value := values[setting.Name]
		delete(values, setting.Name)
		if value == nil {
			if setting.Required {
				return fmt.Errorf("%s%s is missing", path, setting.Name)
			}
			continue
		}
		if err := bind(value, into.FieldByIndex(setting.Index), path+setting.Name); err != nil {
			return err
		}
	}
	for name := range values {
		return fmt.Errorf("%s%s is no setting", path, name)
	}
	return nil
}

func bind(node *yaml.Node, into reflect.Value, path string) error {
	fail := func(err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	if node.Kind == yaml.MappingNode {
		switch target := into.Addr().Interface().(type) {
		case *expression.Values:
			values, err := compile(node)
			*target = values
			return fail(err)
		case connectors.ValuesUnmarshaler:
			values, err := compile(node)
			if err == nil {
				err = target.UnmarshalValues(values)
			}
			return fail(err)
		}
	}
	if text, ok := reflect.TypeAssert[encoding.TextUnmarshaler](into.Addr()); ok && node.Kind == yaml.ScalarNode {
		return fail(text.UnmarshalText([]byte(resolve(node.Value))))
	}
	if _, ok := reflect.TypeAssert[time.Duration](into); ok {
		d, err := time.ParseDuration(node.Value)
		into.SetInt(int64(d))
		return fail(err)
	}
	switch into.Kind() {
	case reflect.Struct:
		return bindStruct(node, into, path+".")
	case reflect.Slice:
		if node.Kind != yaml.SequenceNode {
			return fail(fmt.Errorf("a list is wanted"))
		}
		list := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
		for i, item := range node.Content {
			if err := bind(item, list.Index(i), path+"."+strconv.Itoa(i)); err != nil {
				return err
			}
		}
		into.Set(list)
		return nil
	case reflect.Map:
		if node.Kind != yaml.MappingNode {
			return fail(fmt.Errorf("a mapping is wanted"))
		}
		m := reflect.MakeMap(into.Type())
		for i := 0; i < len(node.Content); i += 2 {
			value := reflect.New(into.Type().Elem()).Elem()
			if err := bind(node.Content[i+1], value, path+"."+node.Content[i].Value); err != nil {
				return err
			}
			m.SetMapIndex(reflect.ValueOf(node.Content[i].Value).Convert(into.Type().Key()), value)
		}
		into.Set(m)
		return nil
	}
	return fail(node.Decode(into.Addr().Interface()))
}

func compile(node *yaml.Node) (expression.Values, error) {
	pairs, err := pairs(node)
	if err != nil {
		return expression.Values{}, err
	}
	return expression.CompileValues(pairs)
}

func pairs(node *yaml.Node) ([]expression.Pair, error) {
	all := make([]expression.Pair, 0, len(node.Content)/2)
	for i := 0; i < len(node.Content); i += 2 {
		value, err := plain(node.Content[i+1])
		if err != nil {
			return nil, err
		}
		all = append(all, expression.Pair{Key: node.Content[i].Value, Value: value})
	}
	return all, nil
}

// plain converts a node to a value of an expression.Pair.
func plain(node *yaml.Node) (any, error) {
	switch node.Kind {
	case yaml.MappingNode:
		return pairs(node)
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, item := range node.Content {
			value, err := plain(item)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	}
	switch node.Tag {
	case "!!bool":
		return strconv.ParseBool(node.Value)
	case "!!int":
		return strconv.ParseInt(node.Value, 0, 64)
	case "!!float":
		return strconv.ParseFloat(node.Value, 64)
	case "!!str":
		return node.Value, nil
	}
	return nil, fmt.Errorf("line %d: %s is no value", node.Line, node.Tag)
}
