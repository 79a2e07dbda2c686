package console

func (c *Console) mountRules() {
}
