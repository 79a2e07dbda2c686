package console

func (c *Console) mountSurveys() {
}
