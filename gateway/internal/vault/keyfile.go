package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// KeyFile is the file in the data folder that holds the embedded engine's key.
const KeyFile = "vault.key"

// maxKeyFile is more than any number of keys needs.
const maxKeyFile = 64 << 10

// OwnKeys returns the keys that are set, with those of the data folder behind them. Where there are none, it makes one in the
// data folder, unless the store holds values that were sealed with a lost one: then the error is a *LostKeyError. Only the
// process that holds the folder's store may call it.
func OwnKeys(ctx context.Context, folder string, store state.Settings, set Keys) (Keys, error) {
	path := filepath.Join(folder, KeyFile)
	own, err := readKeyFile(path)
	switch {
	case err == nil:
		return set.Behind(own)
	case !errors.Is(err, fs.ErrNotExist):
		return Keys{}, err
	case !set.IsZero():
		return set, nil
	}
	all, err := marks(ctx, store)
	if err != nil {
		return Keys{}, err
	}
	if i := slices.IndexFunc(all, func(m marked) bool { return m.kind != "" }); i >= 0 {
		id := all[i].id
		return Keys{}, &LostKeyError{
			ID: id, Places: placesOf(all, id), remedy: "put " + path + " back from the backup, or set " + variable + " to this key",
		}
	}
	for _, m := range all { // of a key that is gone, with which nothing was sealed
		if err := New(Options{Store: store}).unmark(ctx, m); err != nil {
			return Keys{}, err
		}
	}
	return makeKeyFile(path)
}

// readKeyFile reads a key file. The error wraps fs.ErrNotExist only where nothing has that name.
func readKeyFile(path string) (Keys, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Keys{}, fmt.Errorf("key of the vault: %w", err)
	}
	if mode := info.Mode(); mode.IsDir() || mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return Keys{}, fmt.Errorf("key of the vault: %s is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		// A link to a file that is missing is not a first start.
		return Keys{}, fmt.Errorf("key of the vault: %s cannot be read: %v", path, err) //nolint:errorlint // not ErrNotExist
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return Keys{}, fmt.Errorf("key of the vault: %w", err)
	}
	if len(text) > maxKeyFile {
		return Keys{}, fmt.Errorf("key of the vault: %s is too large to hold keys", path)
	}
	keys, err := ParseKeys(string(text), path)
	if err != nil {
		return Keys{}, fmt.Errorf("key of the vault: %s %w; put it back from the backup", path, err)
	}
	return keys, nil
}

// makeKeyFile writes a new key. The file appears whole or not at all, and is on disk before anything is sealed with it.
func makeKeyFile(path string) (Keys, error) {
	text := firstID + ":" + NewKey()
	if err := writeWhole(path, text+"\n"); err != nil {
		return Keys{}, fmt.Errorf("make the key of the vault: %w", err)
	}
	crashpoint.At(crashpoint.KeyMade)
	return ParseKeys(text, path)
}

func writeWhole(path, text string) error {
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a start that was killed
		return err
	}
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
