package console

func (c *Console) mountSources() {
}
