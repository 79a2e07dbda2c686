package console

func (c *Console) mountReplays() {
}
