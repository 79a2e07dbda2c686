package console

func (c *Console) mountEditor() {
}
