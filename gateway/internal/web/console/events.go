package console

func (c *Console) mountEvents() {
}
