package console

func (c *Console) mountSettings() {
}
